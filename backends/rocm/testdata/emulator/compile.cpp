// hiprtc: a source becomes a shared library by the C++ compiler of the machine, with prelude.h before it.
#include "emulator.h"

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <regex>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

using namespace hipemu;

// The texts that stand before each source are part of this library.
asm(R"(
	.section .rodata
	.globl hipemu_prelude
	.hidden hipemu_prelude
hipemu_prelude:
	.incbin "abi.h"
	.incbin "prelude.h"
	.incbin "matrix.h"
	.byte 0
	.text
)");
extern "C" __attribute__((visibility("hidden"))) const char hipemu_prelude[];

namespace {

enum : int { RTC_OK = 0, RTC_INVALID_INPUT = 3, RTC_INVALID_PROGRAM = 4, RTC_INVALID_OPTION = 5, RTC_COMPILATION = 6 };

struct Program {
	std::string source, name, log, code;
	std::map<std::string, std::string> headers;
};

// read returns a file, or "".
std::string read(const std::string& path) {
	std::string all;
	if (FILE* f = fopen(path.c_str(), "rb")) {
		char part[1 << 16];
		size_t n;
		while ((n = fread(part, 1, sizeof part, f)) > 0) all.append(part, n);
		fclose(f);
	}
	return all;
}

bool write(const std::string& path, const std::string& text) {
	FILE* f = fopen(path.c_str(), "wb");
	if (!f) return false;
	bool good = fwrite(text.data(), 1, text.size(), f) == text.size();
	return fclose(f) == 0 && good;
}

// ours makes of a source what the prelude expects: __shared__ says static itself.
std::string ours(const std::string& text) {
	static const std::regex twice("\\bstatic\\s+__shared__|\\b__shared__\\s+static\\b");
	return std::regex_replace(text, twice, "__shared__");
}

// kernels finds the names of kernels in a source: those of our macro KERNEL, and what is __global__.
std::vector<std::string> kernels(const std::string& text) {
	static const std::regex kernel("(?:^|\\n)\\s*KERNEL\\((\\w+)\\)|(?:^|\\n)\\s*extern \"C\"[^;{(]*__global__[^;{]*?(?:__launch_bounds__\\([^)]*\\)\\s*)?(\\w+)\\(");
	std::vector<std::string> names;
	for (std::sregex_iterator it(text.begin(), text.end(), kernel), end; it != end; ++it) {
		names.push_back((*it)[1].matched ? "tenon_" + (*it)[1].str() : (*it)[2].str());
	}
	return names;
}

// macros are what clang defines for an architecture, and which instructions the prelude may offer.
std::vector<std::string> macros(const std::string& full) {
	std::string arch = full.substr(0, full.find(':')), number = arch.substr(3), gen = number.substr(0, number.size() - 2);
	std::vector<std::string> d = {"-D__" + arch + "__", "-D__GFX" + gen + "__", "-DHIPEMU_GFX=" + gen, "-D__HIP__=1", "-D__HIP_EMULATOR__=1",
	                              "-D__HIP_DEVICE_COMPILE__=1", "-D__HIPCC_RTC__=1", std::string("-DWAVE_SIZE=") + (arch.size() == 7 ? "32" : "64")};
	auto is = [&](std::initializer_list<const char*> all) {
		for (const char* a : all) {
			if (arch == a) return true;
		}
		return false;
	};
	if (is({"gfx906", "gfx908", "gfx90a", "gfx940", "gfx941", "gfx942", "gfx950", "gfx1011", "gfx1012"}) || arch.substr(0, 6) == "gfx103") d.push_back("-DHIPEMU_SDOT4");
	if (is({"gfx906", "gfx908", "gfx90a", "gfx940", "gfx941", "gfx942", "gfx950", "gfx1011", "gfx1012"}) || (arch.size() == 7 && arch.substr(0, 6) >= "gfx103")) d.push_back("-DHIPEMU_FDOT2");
	if (is({"gfx908", "gfx90a", "gfx940", "gfx941", "gfx942", "gfx950"})) d.push_back("-DHIPEMU_MFMA_INSTS");
	if (is({"gfx940", "gfx941", "gfx942", "gfx950"})) d.push_back("-DHIPEMU_GFX940_INSTS");
	return d;
}

bool known(const std::string& arch) {
	static const std::regex form("gfx(9[0-9a-f]{2}|1[0-9]{3})(:[a-z]+[+-])*");
	return std::regex_match(arch, form);
}

// name of a cached library: a sum over all that it depends on.
std::string sum(const std::vector<std::string>& parts) {
	uint64_t a = 0xcbf29ce484222325, b = 0x9e3779b97f4a7c15;
	for (const std::string& p : parts) {
		for (unsigned char c : p + '\0') {
			a = (a ^ c) * 0x100000001b3;
			b = (b + c) * 0xd6e8feb86659fd93;
			b ^= b >> 29;
		}
	}
	char text[40];
	snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
	return text;
}

// run runs a command and puts what it says into a file.
int run(const std::vector<std::string>& command, const std::string& log) {
	std::vector<char*> argv;
	for (const std::string& a : command) argv.push_back(const_cast<char*>(a.c_str()));
	argv.push_back(nullptr);
	posix_spawn_file_actions_t files;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	posix_spawnattr_t attr; // Go has signals of its own, and blocks others
	posix_spawnattr_init(&attr);
	sigset_t none;
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	pid_t pid;
	int rc = posix_spawnp(&pid, argv[0], &files, &attr, argv.data(), environ), status = 0;
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (rc) return -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int compile(Program* p, const std::string& arch, const std::vector<std::string>& options) {
	std::string cxx = setting("HIPEMU_CXX", "g++"), text = ours(p->source), module = "\nHIPEMU_MODULE(";
	for (const std::string& k : kernels(p->source)) module += "hipemu::Of<" + k + ">::as(\"" + k + "\"), ";
	text = "#include \"hipemu_prelude.h\"\n#line 1 \"" + p->name + "\"\n" + text + module + ")\n";
	std::vector<std::string> command = {cxx, "-x", "c++", "-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-nostdlib", "-w", "-ffp-contract=off",
	                                    "-fno-strict-aliasing", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-stack-protector", "-fno-math-errno",
	                                    "-fstack-clash-protection", "-U_FORTIFY_SOURCE"}; // a large frame must not step over the page below a stack
#if defined(__x86_64__)
	if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) command.insert(command.end(), {"-mfma", "-mf16c"}); // or both are calls
	else command.push_back("-msse4.1");
#endif
	for (const std::string& m : macros(arch)) command.push_back(m);
	std::string more = setting("HIPEMU_CXXFLAGS", "");
	for (size_t at = 0; at < more.size();) {
		size_t end = std::min(more.find(' ', at), more.size());
		if (end > at) command.push_back(more.substr(at, end - at));
		at = end + 1;
	}
	for (const std::string& o : options) {
		if (o.substr(0, 2) == "-D" || o.substr(0, 2) == "-U") command.push_back(o);
	}
	std::vector<std::string> all = command;
	all.push_back(hipemu_prelude);
	all.push_back(text);
	for (auto& h : p->headers) all.push_back(h.first), all.push_back(h.second);
	std::string cache = setting("HIPEMU_CACHE", ""), file = cache.empty() ? "" : cache + "/" + p->name + "-" + sum(all) + ".so";
	std::string library = file.empty() ? "" : read(file);
	if (library.empty()) {
		std::string dir = setting("TMPDIR", "/tmp") + "/hipemu-rtc-XXXXXX";
		if (!mkdtemp(&dir[0])) return RTC_COMPILATION;
		bool good = write(dir + "/hipemu_prelude.h", std::string("#line 1 \"prelude\"\n") + hipemu_prelude) && write(dir + "/" + p->name, text);
		for (auto& h : p->headers) good = good && write(dir + "/" + h.first, ours(h.second));
		command.insert(command.end(), {"-I", dir, "-o", dir + "/out.so", dir + "/" + p->name, "-lm", "-lc", "-lgcc"});
		int rc = good ? run(command, dir + "/log") : -1;
		p->log = rc < 0 ? "the compiler " + cxx + " does not run" : read(dir + "/log");
		if (rc == 0) library = read(dir + "/out.so");
		counter("compiled")++;
		for (auto& h : p->headers) unlink((dir + "/" + h.first).c_str());
		for (const std::string& f : {std::string("hipemu_prelude.h"), p->name, std::string("out.so"), std::string("log")}) unlink((dir + "/" + f).c_str());
		rmdir(dir.c_str());
		if (library.empty()) return RTC_COMPILATION;
		if (!file.empty()) {
			std::string own = file + "." + std::to_string(getpid()) + "-" + std::to_string(counter("compiled"));
			if (!write(own, library) || rename(own.c_str(), file.c_str())) unlink(own.c_str());
		}
	}
	p->code = "hipemu " + arch + " " + std::to_string(library.size()) + "\n" + library;
	return RTC_OK;
}

} // namespace

EXPORT int hiprtcVersion(int* major, int* minor) {
	BEGIN();
	int v = atoi(setting("HIPEMU_VERSION", "70100000").c_str());
	*major = v / 10000000;
	*minor = v / 100000 % 100;
	return RTC_OK;
}

EXPORT const char* hiprtcGetErrorString(int code) {
	return code == RTC_COMPILATION ? "HIPRTC_ERROR_COMPILATION" : code == RTC_OK ? "HIPRTC_SUCCESS" : "HIPRTC_ERROR";
}

EXPORT int hiprtcCreateProgram(Program** out, const char* source, const char* name, int n, const char** texts, const char** names) {
	BEGIN();
	if (!source || !name || n < 0) return RTC_INVALID_INPUT;
	Program* p = new Program;
	p->source = source;
	p->name = name;
	for (int i = 0; i < n; i++) p->headers[names[i]] = texts[i];
	counter("programs")++;
	*out = p;
	return RTC_OK;
}

EXPORT int hiprtcDestroyProgram(Program** p) {
	BEGIN();
	if (!p || !*p) return RTC_INVALID_PROGRAM;
	delete *p;
	*p = nullptr;
	counter("programs")--;
	return RTC_OK;
}

EXPORT int hiprtcCompileProgram(Program* p, int n, const char** options) {
	BEGIN();
	static const std::string prefix = "--offload-arch=";
	std::string arch;
	std::vector<std::string> rest;
	for (int i = 0; i < n; i++) {
		std::string o = options[i];
		if (o.substr(0, prefix.size()) == prefix) arch = o.substr(prefix.size());
		else rest.push_back(o);
	}
	if (!known(arch)) {
		p->log = "the emulator does not know architecture '" + arch + "'";
		return RTC_INVALID_OPTION;
	}
	return compile(p, arch, rest);
}

EXPORT int hiprtcGetProgramLogSize(Program* p, size_t* n) {
	BEGIN();
	*n = p->log.size() + 1;
	return RTC_OK;
}

EXPORT int hiprtcGetProgramLog(Program* p, char* s) {
	BEGIN();
	memcpy(s, p->log.c_str(), p->log.size() + 1);
	return RTC_OK;
}

EXPORT int hiprtcGetCodeSize(Program* p, size_t* n) {
	BEGIN();
	*n = p->code.size();
	return RTC_OK;
}

EXPORT int hiprtcGetCode(Program* p, char* s) {
	BEGIN();
	memcpy(s, p->code.data(), p->code.size());
	return RTC_OK;
}
