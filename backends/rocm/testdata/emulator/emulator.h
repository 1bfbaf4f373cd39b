// What the parts of the emulator have in common.
#pragma once
#include "abi.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace hipemu {

// Codes of HIP.
enum : int {
	OK = 0, INVALID_VALUE = 1, NO_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200, NO_BINARY = 209,
	INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, LAUNCH_FAILURE = 719, CAPTURE_UNSUPPORTED = 900,
};

// Device is one that is made up.
struct Device {
	std::string arch, pci;
	size_t memory = 0;         // bytes that it pretends to have
	std::atomic<size_t> used{0};
	std::atomic<int> lost{0};  // the code of what ended it
	unsigned wave = 64;
};

// setting returns what hipemu_set or the environment says of a name.
std::string setting(const char* name, const char* otherwise);

std::vector<std::unique_ptr<Device>>& devices();
Device& current();
int current_index();

// injected returns the code that a call is to fail with, or OK.
int injected(const char* call);

// say keeps the text of what went wrong last, and writes it to stderr.
void say(const std::string& text);
std::string said();

// Counters of what there is, by name: what hipemu_count returns.
std::atomic<int64_t>& counter(const char* name);

// The two ends of every function that the backend calls: what was chosen to fail does, and nothing works on a lost device.
#define BEGIN() \
	do { \
		if (int rc = hipemu::injected(__func__)) return rc; \
	} while (0)
#define BEGIN_ALIVE() \
	do { \
		BEGIN(); \
		if (int rc = hipemu::current().lost) return rc; \
	} while (0)

// Code is a loaded module: one copy of its library for each worker, so that each has __shared__ memory of its own.
struct Code {
	std::string bytes, arch, name;
	std::mutex mu;
	std::vector<void*> handles;
	std::vector<std::unique_ptr<Module>> copies;
	~Code();
	// copy returns a worker's, and loads it if need be; nullptr if that fails.
	Module* copy(unsigned worker);
};

// Launch is a kernel with what it runs on.
struct Launch {
	Code* code = nullptr;
	unsigned kernel = 0; // its number in the module
	Dim grid{}, block{};
	std::vector<unsigned char> parameter;
};

// execute runs a launch to its end. It returns a code, and says what was wrong.
int execute(const Launch& l, unsigned wave);

// enqueue does something in its turn: at once, or on a thread of the device where HIPEMU_ASYNC is set.
void enqueue(Device& d, std::function<int()> what);
uint64_t enqueued(); // the number of what was enqueued last
uint64_t done();     // up to which number all is done
void drain();
// forget_handles ends all handles of a device.
void forget_handles(int device);

// red zones round allocations are intact, or the text says whose is not.
std::string damaged();
// inside reports whether n bytes lie in one allocation.
bool inside(const void* p, size_t n);
// fill sets n bytes in one allocation.
void fill(void* p, int value, size_t n);
// describe says where an address lies.
std::string describe(const void* p);

} // namespace hipemu
