// Devices, errors, and what tests ask of the emulator.
#include "emulator.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace hipemu;

namespace {

struct Failure {
	std::string call;
	int code, skip, times;
};

std::mutex mu;
std::map<std::string, std::string> chosen; // by hipemu_set
std::vector<Failure> failures;
std::atomic<bool> any{false};
std::string last;
std::vector<std::unique_ptr<Device>> all;
thread_local int index_ = 0;

// WaveOf is how many threads a wave has: 64 up to gfx9, and 32 after it.
unsigned wave_of(const std::string& arch) { return arch.substr(0, arch.find(':')).size() == 7 ? 32 : 64; }

// parse makes devices of "arch[@pci][/MiB],...".
void parse(const std::string& text) {
	size_t at = 0;
	while (at <= text.size()) {
		size_t end = std::min(text.find(',', at), text.size());
		std::string one = text.substr(at, end - at);
		at = end + 1;
		if (one.empty()) continue;
		std::unique_ptr<Device> d(new Device);
		size_t slash = one.find('/'), pci = one.find('@');
		d->memory = (slash == std::string::npos ? 4096 : strtoull(one.c_str() + slash + 1, nullptr, 10)) << 20;
		one = one.substr(0, slash);
		char made[32];
		snprintf(made, sizeof made, "0000:%02X:00.0", unsigned(0xE0 + all.size()));
		d->pci = pci == std::string::npos ? made : one.substr(pci + 1);
		d->arch = one.substr(0, pci);
		d->wave = wave_of(d->arch);
		all.push_back(std::move(d));
	}
}

} // namespace

namespace hipemu {

std::string setting(const char* name, const char* otherwise) {
	std::lock_guard<std::mutex> lock(mu);
	auto it = chosen.find(name);
	if (it != chosen.end()) return it->second;
	const char* v = getenv(name);
	return v && *v ? v : otherwise;
}

std::vector<std::unique_ptr<Device>>& devices() {
	static std::once_flag once;
	std::call_once(once, [] { parse(setting("HIPEMU_DEVICES", "gfx1030")); });
	return all;
}

Device& current() {
	static Device none;
	return size_t(index_) < devices().size() ? *devices()[index_] : none;
}

int current_index() { return index_; }

int injected(const char* call) {
	if (!any) return OK;
	std::lock_guard<std::mutex> lock(mu);
	for (Failure& f : failures) {
		if (f.call != call || f.times == 0) continue;
		if (f.skip > 0) {
			f.skip--;
			continue;
		}
		if (f.times > 0) f.times--;
		return f.code;
	}
	return OK;
}

void say(const std::string& text) {
	std::lock_guard<std::mutex> lock(mu);
	last = text;
	fprintf(stderr, "hip emulator: %s\n", text.c_str());
}

std::string said() {
	std::lock_guard<std::mutex> lock(mu);
	return last;
}

std::atomic<int64_t>& counter(const char* name) {
	static std::mutex own;
	static std::map<std::string, std::unique_ptr<std::atomic<int64_t>>> counters;
	std::lock_guard<std::mutex> lock(own);
	auto& c = counters[name];
	if (!c) c.reset(new std::atomic<int64_t>(0));
	return *c;
}

} // namespace hipemu

// hipemu_set chooses what an environment variable would: before the first call of HIP.
EXPORT void hipemu_set(const char* name, const char* value) {
	std::lock_guard<std::mutex> lock(mu);
	chosen[name] = value;
}

// hipemu_fail lets a call fail with a code, after it was called so many times, and so often: times below 0 is for ever. Code 0 ends all
// such failures of the call, or of every call if it is "".
EXPORT void hipemu_fail(const char* call, int code, int skip, int times) {
	std::lock_guard<std::mutex> lock(mu);
	for (Failure& f : failures) {
		if (!*call || f.call == call) f.times = 0;
	}
	if (code) failures.push_back({call, code, skip, times});
	any = !failures.empty();
}

// hipemu_count returns how many there are: device_bytes, host_bytes, allocations, streams, events, graphs, modules, programs, launches.
EXPORT int64_t hipemu_count(const char* what) { return counter(what); }

// hipemu_said returns what the emulator has told last. It is valid until the next call on this thread.
EXPORT const char* hipemu_said(void) {
	static thread_local std::string text;
	text = said();
	return text.c_str();
}

EXPORT int hipInit(unsigned flags) {
	BEGIN();
	return flags ? INVALID_VALUE : devices().empty() ? NO_DEVICE : OK;
}

EXPORT int hipRuntimeGetVersion(int* v) {
	BEGIN();
	*v = atoi(setting("HIPEMU_VERSION", "70100000").c_str());
	return OK;
}

EXPORT int hipGetDeviceCount(int* n) {
	BEGIN();
	*n = int(devices().size());
	return *n ? OK : NO_DEVICE;
}

EXPORT int hipSetDevice(int i) {
	BEGIN();
	if (i < 0 || size_t(i) >= devices().size()) return INVALID_DEVICE;
	index_ = i;
	return OK;
}

static Device* device(int i) { return i < 0 || size_t(i) >= devices().size() ? nullptr : devices()[i].get(); }

EXPORT int hipDeviceGetName(char* s, int n, int i) {
	BEGIN();
	Device* d = device(i);
	if (!d) return INVALID_DEVICE;
	snprintf(s, n, "emulated %s (tenon's test aid, no card)", d->arch.c_str());
	return OK;
}

EXPORT int hipDeviceGetPCIBusId(char* s, int n, int i) {
	BEGIN();
	Device* d = device(i);
	if (!d) return INVALID_DEVICE;
	snprintf(s, n, "%s", d->pci.c_str());
	return OK;
}

EXPORT int hipDeviceTotalMem(size_t* n, int i) {
	BEGIN();
	Device* d = device(i);
	if (!d) return INVALID_DEVICE;
	*n = d->memory;
	return OK;
}

EXPORT int hipDeviceGetAttribute(int* v, int attr, int i) {
	BEGIN();
	Device* d = device(i);
	if (!d) return INVALID_DEVICE;
	switch (attr) {
	case 16: *v = 0; return OK;        // integrated
	case 63: *v = 4; return OK;        // multiprocessors
	case 74: *v = 64 << 10; return OK; // shared memory of a block
	case 87: *v = int(d->wave); return OK;
	}
	return INVALID_VALUE;
}

// The properties are a large struct; what is read of it is the name of the architecture.
EXPORT int hipGetDevicePropertiesR0600(char* props, int i) {
	BEGIN();
	Device* d = device(i);
	if (!d) return INVALID_DEVICE;
	memset(props, 0, 1472);
	hipDeviceGetName(props, 256, i);
	snprintf(props + 1160, 256, "%s", d->arch.c_str());
	return OK;
}

EXPORT const char* hipGetErrorName(int code) {
	switch (code) {
	case OK: return "hipSuccess";
	case INVALID_VALUE: return "hipErrorInvalidValue";
	case NO_MEMORY: return "hipErrorOutOfMemory";
	case NO_DEVICE: return "hipErrorNoDevice";
	case INVALID_DEVICE: return "hipErrorInvalidDevice";
	case INVALID_IMAGE: return "hipErrorInvalidImage";
	case NO_BINARY: return "hipErrorNoBinaryForGpu";
	case INVALID_HANDLE: return "hipErrorInvalidHandle";
	case NOT_FOUND: return "hipErrorNotFound";
	case NOT_READY: return "hipErrorNotReady";
	case CAPTURE_UNSUPPORTED: return "hipErrorStreamCaptureUnsupported";
	case LAUNCH_FAILURE: {
		static thread_local std::string text;
		text = "hipErrorLaunchFailure: " + said();
		return text.c_str();
	}
	}
	return "hipErrorUnknown";
}
