// The threads that run kernels, and what happens to faults of the processor on them. They are not Go's, so that its signals do not
// come in between, and a fault on one of them ends the kernel and not the process.
#include "block.h"

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

namespace hipemu {

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction before[NSIG];
static thread_local Worker* mine;

static void handle(int signal, siginfo_t* info, void* context) {
	if (mine) mine->caught(signal, info->si_addr);
	struct sigaction& old = before[signal];
	if (old.sa_flags & SA_SIGINFO) old.sa_sigaction(signal, info, context);
	else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) old.sa_handler(signal);
	else sigaction(signal, &old, nullptr); // it comes again, and ends the process
}

// Pool has the workers. A launch is done by all of them, or by the first if it is small.
class Pool {
public:
	bool run(const Launch& l, unsigned wave);

private:
	struct Seat {
		std::unique_ptr<Worker> worker;
		pthread_t thread;
		bool begun = false;
	};
	void start();
	void work(unsigned i);
	static void* main(void* arg);

	std::mutex turn_; // one launch at a time
	std::mutex mu_;
	std::condition_variable wake_, ended_;
	std::vector<Seat> seats_;
	const Launch* launch_ = nullptr;
	unsigned wave_ = 0, wanted_ = 0, running_ = 0;
	uint64_t round_ = 0;
	std::atomic<uint64_t> next_{0};
	std::atomic<bool> stop_{false};
	bool good_ = true;
};

struct Arg {
	Pool* pool;
	unsigned number;
};

void Pool::start() {
	if (!seats_.empty()) return;
	for (int s : faults) {
		struct sigaction now;
		sigaction(s, nullptr, &before[s]);
		now = before[s];
		now.sa_sigaction = handle;
		now.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
		sigaction(s, &now, nullptr);
	}
	int n = atoi(setting("HIPEMU_THREADS", "2").c_str());
	seats_.resize(n < 1 ? 1 : n > 64 ? 64 : n);
	sigset_t all, old;
	sigfillset(&all);
	for (int s : faults) sigdelset(&all, s);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < seats_.size(); i++) {
		seats_[i].worker.reset(new Worker(i));
		pthread_create(&seats_[i].thread, nullptr, main, new Arg{this, i});
	}
	pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

void* Pool::main(void* arg) {
	std::unique_ptr<Arg> a((Arg*)arg);
	static thread_local char alternate[64 << 10]; // a fiber's stack may be what has ended
	stack_t ss = {};
	ss.ss_sp = alternate;
	ss.ss_size = sizeof alternate;
	sigaltstack(&ss, nullptr);
	mine = a->pool->seats_[a->number].worker.get();
	a->pool->work(a->number);
	return nullptr;
}

void Pool::work(unsigned i) {
	uint64_t seen = 0;
	std::unique_lock<std::mutex> lock(mu_);
	for (;;) {
		wake_.wait(lock, [&] { return round_ != seen; });
		seen = round_;
		if (i >= wanted_) continue;
		const Launch& l = *launch_;
		lock.unlock();
		Module* m = l.code->copy(i);
		bool good = m && seats_[i].worker->run(l, m, wave_, next_, stop_);
		if (!m) say("a module does not load"), stop_ = true;
		lock.lock();
		good_ = good_ && good;
		if (--running_ == 0) ended_.notify_all();
	}
}

bool Pool::run(const Launch& l, unsigned wave) {
	std::lock_guard<std::mutex> turn(turn_);
	std::unique_lock<std::mutex> lock(mu_);
	start();
	uint64_t blocks = uint64_t(l.grid.x) * l.grid.y * l.grid.z;
	wanted_ = blocks == 1 || blocks * l.block.x < 1024 ? 1 : unsigned(seats_.size());
	running_ = wanted_;
	launch_ = &l;
	wave_ = wave;
	next_ = 0;
	stop_ = false;
	good_ = true;
	round_++;
	wake_.notify_all();
	ended_.wait(lock, [&] { return running_ == 0; });
	return good_;
}

int execute(const Launch& l, unsigned wave) {
	static Pool* pool = new Pool; // it ends with the process
	counter("launches")++;
	uint64_t threads = uint64_t(l.block.x) * l.block.y * l.block.z;
	if (threads == 0 || threads > MAX_THREADS || l.grid.x == 0 || l.grid.y == 0 || l.grid.z == 0 || l.grid.y > 65535 || l.grid.z > 65535) {
		say("a launch of a size that no card takes");
		return INVALID_VALUE;
	}
	if (!pool->run(l, wave)) return LAUNCH_FAILURE;
	std::string bad = damaged();
	if (!bad.empty()) {
		say("kernel " + std::string(l.code->copies[0]->kernels[l.kernel].name) + " wrote outside memory: " + bad);
		return LAUNCH_FAILURE;
	}
	return OK;
}

Module* Code::copy(unsigned worker) {
	std::lock_guard<std::mutex> lock(mu);
	if (copies.size() <= worker) copies.resize(worker + 1), handles.resize(worker + 1);
	if (handles[worker]) return copies[worker].get();
	std::string path = setting("TMPDIR", "/tmp") + "/hipemu-XXXXXX";
	int fd = mkstemp(&path[0]);
	if (fd < 0) return nullptr;
	bool good = write(fd, bytes.data(), bytes.size()) == ssize_t(bytes.size());
	close(fd);
	void* h = good ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
	if (!h) say(std::string("loading a kernel: ") + (good ? dlerror() : strerror(errno)));
	unlink(path.c_str());
	auto f = h ? (Module(*)())dlsym(h, "hipemu_module") : nullptr;
	if (!f) return nullptr;
	handles[worker] = h;
	copies[worker].reset(new Module(f()));
	return copies[worker].get();
}

Code::~Code() {
	for (void* h : handles) {
		if (h) dlclose(h);
	}
}

} // namespace hipemu
