// Streams, events, modules and graphs. All streams are one queue.
#include "emulator.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <thread>

using namespace hipemu;

namespace {

struct Command {
	Device* device;
	std::function<int()> what;
};

struct Graph {
	std::vector<Command> commands;
};

struct Stream {
	Device* device;
	uint64_t last = 0; // the number of what it got last
	Graph* capture = nullptr;
};

using Time = std::chrono::steady_clock::time_point;

struct Event {
	uint64_t at = 0;
	std::shared_ptr<Time> time; // when it happened, of one that tells, also for the work that writes it
};

struct Function {
	Code* code;
	unsigned number;
};

struct LoadedModule {
	std::unique_ptr<Code> code;
	std::vector<std::unique_ptr<Function>> functions;
};

// Handles that there are, so that one that was closed is told as such.
struct Handle {
	const char* kind;
	int device;
};
std::mutex mu;
std::map<void*, Handle> handles;

template <class T> T* made(T* t, const char* kind) {
	std::lock_guard<std::mutex> lock(mu);
	handles[t] = {kind, current_index()};
	counter(kind)++;
	return t;
}

bool known(void* p, const char* kind) {
	std::lock_guard<std::mutex> lock(mu);
	auto it = handles.find(p);
	return it != handles.end() && !strcmp(it->second.kind, kind);
}

bool ended(void* p, const char* kind) {
	if (!known(p, kind)) return false;
	std::lock_guard<std::mutex> lock(mu);
	handles.erase(p);
	counter(kind)--;
	return true;
}

std::mutex queue_mu;
std::condition_variable queue_cv;
std::deque<Command> queue_;
std::atomic<uint64_t> enqueued_{0}, done_{0};

void perform(Command& c) {
	if (c.device->lost) return;
	if (int rc = c.what()) c.device->lost = rc;
}

void loop() {
	std::unique_lock<std::mutex> lock(queue_mu);
	for (;;) {
		queue_cv.wait(lock, [] { return !queue_.empty(); });
		Command c = std::move(queue_.front());
		queue_.pop_front();
		lock.unlock();
		perform(c);
		lock.lock();
		done_++;
		queue_cv.notify_all();
	}
}

bool asynchronous() {
	static bool is = [] {
		bool yes = setting("HIPEMU_ASYNC", "") != "";
		if (yes) std::thread(loop).detach();
		return yes;
	}();
	return is;
}

// give adds a command to a stream, or to the graph that it captures.
int give(Stream* s, std::function<int()> what) {
	if (!known(s, "streams")) return INVALID_HANDLE;
	if (s->capture) {
		s->capture->commands.push_back({s->device, std::move(what)});
		return OK;
	}
	enqueue(*s->device, std::move(what));
	s->last = enqueued();
	return s->device->lost;
}

} // namespace

namespace hipemu {

void enqueue(Device& d, std::function<int()> what) {
	Command c = {&d, std::move(what)};
	if (asynchronous()) {
		std::lock_guard<std::mutex> lock(queue_mu);
		queue_.push_back(std::move(c));
		enqueued_++;
		queue_cv.notify_all();
		return;
	}
	static std::mutex turn;
	std::lock_guard<std::mutex> lock(turn);
	enqueued_++;
	perform(c);
	done_++;
}

// What a device forgets is not freed: somebody may still hold it, and be told that it is none.
void forget_handles(int device) {
	std::lock_guard<std::mutex> lock(mu);
	for (auto it = handles.begin(); it != handles.end();) {
		auto next = std::next(it);
		if (it->second.device == device) {
			counter(it->second.kind)--;
			handles.erase(it);
		}
		it = next;
	}
}

uint64_t enqueued() { return enqueued_; }
uint64_t done() { return done_; }

void drain() {
	uint64_t until = enqueued_;
	std::unique_lock<std::mutex> lock(queue_mu);
	queue_cv.wait(lock, [&] { return done_ >= until || !asynchronous(); });
}

} // namespace hipemu

EXPORT int hipStreamCreateWithFlags(Stream** s, unsigned) {
	BEGIN_ALIVE();
	*s = made(new Stream{&current()}, "streams");
	return OK;
}

EXPORT int hipStreamDestroy(Stream* s) {
	BEGIN_ALIVE();
	if (!ended(s, "streams")) return INVALID_HANDLE;
	drain();
	if (s->capture && ended(s->capture, "graphs")) delete s->capture;
	delete s;
	return OK;
}

EXPORT int hipStreamSynchronize(Stream* s) {
	BEGIN_ALIVE();
	if (!known(s, "streams")) return INVALID_HANDLE;
	if (s->capture) return CAPTURE_UNSUPPORTED;
	drain();
	return s->device->lost;
}

EXPORT int hipDeviceSynchronize(void) {
	BEGIN_ALIVE();
	drain();
	return current().lost;
}

EXPORT int hipStreamWaitEvent(Stream* s, Event* e, unsigned) { // all that was recorded comes before in the one queue
	BEGIN_ALIVE();
	return known(s, "streams") && known(e, "events") ? OK : INVALID_HANDLE;
}

EXPORT int hipEventCreateWithFlags(Event** e, unsigned flags) {
	BEGIN_ALIVE();
	*e = made(new Event, "events");
	if (!(flags & 2)) (*e)->time = std::make_shared<Time>();
	return OK;
}

EXPORT int hipEventDestroy(Event* e) {
	BEGIN_ALIVE();
	if (!ended(e, "events")) return INVALID_HANDLE;
	delete e;
	return OK;
}

EXPORT int hipEventRecord(Event* e, Stream* s) {
	BEGIN_ALIVE();
	if (!known(s, "streams") || !known(e, "events")) return INVALID_HANDLE;
	if (s->capture) return CAPTURE_UNSUPPORTED;
	if (auto time = e->time) {
		give(s, [time] {
			*time = std::chrono::steady_clock::now();
			return OK;
		});
	}
	e->at = s->last;
	return OK;
}

EXPORT int hipEventElapsedTime(float* ms, Event* from, Event* to) {
	BEGIN_ALIVE();
	if (!known(from, "events") || !known(to, "events") || !from->time || !to->time) return INVALID_HANDLE;
	if (done() < from->at || done() < to->at) return NOT_READY;
	*ms = std::chrono::duration<float, std::milli>(*to->time - *from->time).count();
	return OK;
}

EXPORT int hipEventQuery(Event* e) {
	BEGIN_ALIVE();
	if (!known(e, "events")) return INVALID_HANDLE;
	return done() >= e->at ? OK : NOT_READY;
}

EXPORT int hipEventSynchronize(Event* e) {
	BEGIN_ALIVE();
	if (!known(e, "events")) return INVALID_HANDLE;
	drain();
	return current().lost;
}

EXPORT int hipMemcpyAsync(void* to, const void* from, size_t n, int, Stream* s) {
	BEGIN_ALIVE();
	if (!inside(to, n) || !inside(from, n)) {
		say("a copy of " + std::to_string(n) + " bytes to " + describe(to) + " from " + describe(from));
		return INVALID_VALUE;
	}
	return give(s, [=] { return memmove(to, from, n), int(OK); });
}

EXPORT int hipMemsetAsync(void* to, int value, size_t n, Stream* s) {
	BEGIN_ALIVE();
	if (!inside(to, n)) {
		say("a fill of " + std::to_string(n) + " bytes at " + describe(to));
		return INVALID_VALUE;
	}
	return give(s, [=] { return fill(to, value, n), int(OK); });
}

// Code begins with the architecture that it was compiled for, and how long the rest is: see compile.cpp.
EXPORT int hipModuleLoadData(LoadedModule** out, const char* image) {
	BEGIN_ALIVE();
	unsigned long long size = 0;
	char arch[64];
	int head = 0;
	if (sscanf(image, "hipemu %63s %llu\n%n", arch, &size, &head) != 2 || head == 0) return INVALID_IMAGE;
	std::string have = current().arch;
	if (have.substr(0, have.find(':')) != std::string(arch).substr(0, std::string(arch).find(':'))) return NO_BINARY;
	std::unique_ptr<LoadedModule> m(new LoadedModule);
	m->code.reset(new Code);
	m->code->bytes.assign(image + head, size);
	m->code->arch = arch;
	if (!m->code->copy(0)) return INVALID_IMAGE;
	*out = made(m.release(), "modules");
	return OK;
}

EXPORT int hipModuleUnload(LoadedModule* m) {
	BEGIN_ALIVE();
	if (!ended(m, "modules")) return INVALID_HANDLE;
	drain();
	delete m;
	return OK;
}

EXPORT int hipModuleGetFunction(Function** out, LoadedModule* m, const char* name) {
	BEGIN_ALIVE();
	if (!known(m, "modules")) return INVALID_HANDLE;
	const Kernel* all = m->code->copy(0)->kernels;
	for (unsigned i = 0; all[i].name; i++) {
		if (strcmp(all[i].name, name)) continue;
		m->functions.emplace_back(new Function{m->code.get(), i});
		*out = m->functions.back().get();
		return OK;
	}
	return NOT_FOUND;
}

EXPORT int hipModuleLaunchKernel(Function* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream* s,
                                 void** params, void** extra) {
	BEGIN_ALIVE();
	if (!f || !params || !params[0] || extra || shared) return INVALID_VALUE;
	auto l = std::make_shared<Launch>();
	l->code = f->code;
	l->kernel = f->number;
	l->grid = {gx, gy, gz};
	l->block = {bx, by, bz};
	auto at = (const unsigned char*)params[0];
	l->parameter.assign(at, at + f->code->copy(0)->kernels[f->number].size);
	unsigned wave = current().wave;
	return give(s, [=] { return execute(*l, wave); });
}

EXPORT int hipStreamBeginCapture(Stream* s, int) {
	BEGIN_ALIVE();
	if (!known(s, "streams") || s->capture) return INVALID_HANDLE;
	s->capture = made(new Graph, "graphs");
	return OK;
}

EXPORT int hipStreamEndCapture(Stream* s, Graph** g) {
	BEGIN_ALIVE();
	if (!known(s, "streams") || !s->capture) return INVALID_HANDLE;
	*g = s->capture;
	s->capture = nullptr;
	return OK;
}

EXPORT int hipGraphInstantiateWithFlags(Graph** exec, Graph* g, unsigned long long) {
	BEGIN_ALIVE();
	if (!known(g, "graphs")) return INVALID_HANDLE;
	*exec = made(new Graph(*g), "graphs");
	return OK;
}

EXPORT int hipGraphLaunch(Graph* g, Stream* s) {
	BEGIN_ALIVE();
	if (!known(g, "graphs")) return INVALID_HANDLE;
	for (const Command& c : g->commands) {
		if (int rc = give(s, c.what)) return rc;
	}
	return OK;
}

static int destroy(Graph* g) {
	if (!ended(g, "graphs")) return INVALID_HANDLE;
	drain();
	delete g;
	return OK;
}

EXPORT int hipGraphExecDestroy(Graph* g) {
	BEGIN_ALIVE();
	return destroy(g);
}

EXPORT int hipGraphDestroy(Graph* g) {
	BEGIN_ALIVE();
	return destroy(g);
}
