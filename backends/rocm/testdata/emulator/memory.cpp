// Memory of devices, and of the host by hipHostMalloc. Each piece ends at a page that nobody may touch, and begins after one; what is left
// between, because addresses are aligned, is a red zone that is looked at after launches.
#include "emulator.h"

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace hipemu;

namespace {

enum : unsigned char { GARBAGE = 0xff, ZONE = 0xb5 };
const size_t ALIGN = 256; // what HIP promises

struct Piece {
	size_t size, mapped;
	char* map;
	int device;
	bool host, registered;
};

std::mutex mu;
std::map<char*, Piece> pieces; // by where they begin

size_t page() {
	static size_t n = getpagesize();
	return n;
}

// find returns the piece in which an address lies, or pieces.end().
std::map<char*, Piece>::iterator find(const void* p) {
	auto it = pieces.upper_bound((char*)p);
	if (it == pieces.begin()) return pieces.end();
	--it;
	return (char*)p < it->first + it->second.size ? it : pieces.end();
}

const char* kind(const Piece& p) { return p.host ? "host_bytes" : "device_bytes"; }

int take(void** out, size_t n, bool host) {
	Device& d = current();
	if (!out) return INVALID_VALUE;
	*out = nullptr;
	if (n == 0) return OK;
	if (!host && (n > d.memory || d.used + n > d.memory)) return NO_MEMORY;
	size_t room = (n + ALIGN - 1) / ALIGN * ALIGN, inner = (room + page() - 1) / page() * page();
	char* map = (char*)mmap(nullptr, inner + 2 * page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) return NO_MEMORY;
	mprotect(map, page(), PROT_NONE);
	mprotect(map + page() + inner, page(), PROT_NONE);
	char* at = map + page() + inner - room;
	memset(map + page(), ZONE, at - map - page());
	size_t ends = std::min<size_t>(n, 16 << 20); // a model's memory need not be touched twice
	memset(at, GARBAGE, ends);
	memset(at + n - ends, GARBAGE, ends);
	memset(at + n, ZONE, room - n);
	std::lock_guard<std::mutex> lock(mu);
	pieces[at] = {n, inner + 2 * page(), map, current_index(), host, false};
	if (!host) d.used += n;
	counter(host ? "host_bytes" : "device_bytes") += n;
	counter("allocations")++;
	*out = at;
	return OK;
}

// broken says of what piece a red zone is not whole.
std::string broken(char* at, const Piece& p) {
	if (p.registered) return "";
	char *first = p.map + page(), *end = p.map + p.mapped - page();
	for (char* c = first; c < end; c++) {
		if (c == at) c += p.size;
		if (c < end && (unsigned char)*c != ZONE) return describe(c);
	}
	return "";
}

void forget(std::map<char*, Piece>::iterator it) {
	Piece p = it->second;
	if (!p.host) devices()[p.device]->used -= p.size;
	counter(kind(p)) -= p.size;
	counter("allocations")--;
	pieces.erase(it);
	if (!p.registered) munmap(p.map, p.mapped);
}

int give(void* p, bool host) {
	if (!p) return OK;
	drain();
	std::lock_guard<std::mutex> lock(mu);
	auto it = pieces.find((char*)p);
	if (it == pieces.end() || it->second.host != host || it->second.registered) return INVALID_VALUE;
	std::string bad = broken(it->first, it->second);
	if (!bad.empty()) {
		say("memory that is freed was written outside: " + bad);
		return LAUNCH_FAILURE;
	}
	forget(it);
	return OK;
}

} // namespace

namespace hipemu {

std::string describe(const void* p) {
	char text[200];
	auto it = pieces.upper_bound((char*)p); // without the lock: who holds it may have failed
	if (it != pieces.begin()) {
		auto b = std::prev(it);
		if ((char*)p < b->second.map + b->second.mapped) {
			snprintf(text, sizeof text, "%td bytes into memory of %zu on device %d", (char*)p - b->first, b->second.size, b->second.device);
			return text;
		}
	}
	if (it != pieces.end() && (char*)p >= it->second.map) {
		snprintf(text, sizeof text, "%td bytes before memory of %zu on device %d", it->first - (char*)p, it->second.size, it->second.device);
		return text;
	}
	return "which is nobody's memory";
}

bool inside(const void* p, size_t n) {
	std::lock_guard<std::mutex> lock(mu);
	auto it = find(p);
	return it != pieces.end() && (char*)p + n <= it->first + it->second.size;
}

// A large piece that becomes 0 is given back to the system, which gives it anew.
void fill(void* p, int value, size_t n) {
	bool own = false;
	{
		std::lock_guard<std::mutex> lock(mu);
		auto it = find(p);
		own = it != pieces.end() && !it->second.registered;
	}
	if (value == 0 && own && n >= 1 << 20) {
		char* first = (char*)((uintptr_t(p) + page() - 1) / page() * page());
		size_t whole = ((char*)p + n - first) / page() * page();
		if (madvise(first, whole, MADV_DONTNEED) == 0) {
			memset(p, 0, first - (char*)p);
			memset(first + whole, 0, (char*)p + n - first - whole);
			return;
		}
	}
	memset(p, value, n);
}

// Only some are looked at each time where there are many.
std::string damaged() {
	static char* from;
	std::lock_guard<std::mutex> lock(mu);
	auto it = pieces.lower_bound(from);
	for (int i = 0; i < 8 && !pieces.empty(); i++, ++it) {
		if (it == pieces.end()) it = pieces.begin();
		std::string bad = broken(it->first, it->second);
		if (!bad.empty()) return bad;
	}
	from = it == pieces.end() ? nullptr : it->first;
	return "";
}

} // namespace hipemu

EXPORT int hipMalloc(void** p, size_t n) {
	BEGIN_ALIVE();
	return take(p, n, false);
}

EXPORT int hipFree(void* p) {
	BEGIN_ALIVE();
	return give(p, false);
}

EXPORT int hipHostMalloc(void** p, size_t n, unsigned) {
	BEGIN_ALIVE();
	return take(p, n, true);
}

EXPORT int hipHostFree(void* p) {
	BEGIN_ALIVE();
	return give(p, true);
}

EXPORT int hipHostRegister(void* p, size_t n, unsigned) {
	BEGIN_ALIVE();
	std::lock_guard<std::mutex> lock(mu);
	if (!p || n == 0) return INVALID_VALUE;
	if (find(p) != pieces.end()) return 712; // hipErrorHostMemoryAlreadyRegistered
	pieces[(char*)p] = {n, n, (char*)p, current_index(), true, true};
	counter("host_bytes") += n;
	counter("allocations")++;
	return OK;
}

EXPORT int hipHostUnregister(void* p) {
	BEGIN_ALIVE();
	drain();
	std::lock_guard<std::mutex> lock(mu);
	auto it = pieces.find((char*)p);
	if (it == pieces.end() || !it->second.registered) return 713; // hipErrorHostMemoryNotRegistered
	forget(it);
	return OK;
}

EXPORT int hipHostGetDevicePointer(void** out, void* p, unsigned) {
	BEGIN_ALIVE();
	std::lock_guard<std::mutex> lock(mu);
	auto it = find(p);
	if (!out || it == pieces.end() || !it->second.host) return INVALID_VALUE;
	*out = p;
	return OK;
}

EXPORT int hipMemGetInfo(size_t* free, size_t* total) {
	BEGIN_ALIVE();
	Device& d = current();
	*total = d.memory;
	*free = d.memory - std::min<size_t>(d.memory, d.used);
	return OK;
}

// A lost device has nothing left: all that was made on it is gone.
EXPORT int hipDeviceReset(void) {
	BEGIN();
	drain();
	forget_handles(current_index());
	std::lock_guard<std::mutex> lock(mu);
	for (auto it = pieces.begin(); it != pieces.end();) {
		auto next = std::next(it);
		if (it->second.device == current_index()) forget(it);
		it = next;
	}
	current().lost = 0;
	return OK;
}
