// A worker runs the blocks of a launch, one after the other.
#pragma once
#include "emulator.h"

#include <csetjmp>

namespace hipemu {

enum { MAX_THREADS = 1024, MAX_WAVES = 32, MAX_LANES = 64, SMALL = 8 };

// Stack is where a fiber runs.
struct Stack {
	void* top = nullptr;
};

// Thread is one of a block.
struct Thread {
	Self self;
	void* state;  // where it goes on, or nullptr before it began
	Stack* stack; // while it is under way
	int line;     // where it waits
	unsigned given; // how many bytes it gave to a collective
};

// Wave has threads by lanes. Each live thread is ready, waits for a collective, or waits at a barrier.
struct Wave {
	uint64_t live, ready, gathering, barred;
	int line;    // where the first of those that gather does
	bool mixed;  // others do so elsewhere
	unsigned size;
	Thread* threads;
	Snapshot snapshot;
	unsigned char *in, *out; // what lanes give, and what they gave last: small values before the others
};

class Worker {
public:
	explicit Worker(unsigned number);
	// run runs blocks of a launch until there are none. It returns whether all went well, and else says what did not.
	bool run(const Launch& l, Module* m, unsigned wave, std::atomic<uint64_t>& next, std::atomic<bool>& stop);
	// caught takes a fault of the processor: it does not return where a kernel runs.
	void caught(int signal, const void* at);

private:
	void prepare(const Launch& l);
	bool block(const Launch& l, uint64_t n);
	bool barriers();
	void settle(Wave& w);
	Thread* pick(Wave& w);
	void yield();
	void enter(Thread* t);
	[[noreturn]] void failed(const char* what);
	Stack* stack();
	static void live(void* self);
	static void barrier(void* self, int line);
	static const Snapshot* gather(void* self, const void* given, unsigned size, int line);
	static void fail(void* self, const char* what);

	unsigned number_, wave_ = 0, count_ = 0, waves_ = 0;
	bool reverse_;
	Module* module_ = nullptr;
	const Launch* launch_ = nullptr;
	const Kernel* kernel_ = nullptr;
	std::vector<Thread> threads_;
	std::vector<Wave> all_;
	std::vector<std::unique_ptr<Stack>> stacks_;
	std::vector<Stack*> spare_;
	std::vector<unsigned char> given_;
	Dim block_{};
	Wave* now_ = nullptr;    // the wave that runs
	Thread* self_ = nullptr; // and its thread
	void* main_ = nullptr;   // where run goes on
	std::atomic<bool> inside_{false};
	sigjmp_buf out_;
};

} // namespace hipemu
