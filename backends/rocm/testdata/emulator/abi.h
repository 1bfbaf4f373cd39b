// What the emulator and the kernels that it compiles have in common. It stands before the prelude in each kernel's source.
namespace hipemu {

struct Dim {
	unsigned x, y, z;
};

// Self is the thread that runs.
struct Self {
	Dim thread;
	unsigned lane;
};

// Block is the block that runs, and the launch that it belongs to.
struct Block {
	Dim block, size, grid;
};

// Snapshot has what each thread of a wave gave to a collective.
struct Snapshot {
	unsigned long long mask; // the lanes that are there
	const unsigned char* data;
	unsigned stride;
};

enum { MAX_GIVEN = 256 }; // bytes that a lane gives to a collective at most

// Api is what kernels call. worker is for the emulator.
struct Api {
	void* worker;
	void (*barrier)(void* worker, int line);
	const Snapshot* (*gather)(void* worker, const void* given, unsigned size, int line);
	void (*fail)(void* worker, const char* text);
};

// Kernel is one that a module has.
struct Kernel {
	const char* name;
	unsigned size; // of its one parameter
	void (*call)(const void* parameter);
};

// Module is what a compiled source shows of itself. Everything between shared and end is __shared__.
struct Module {
	const Self** self;
	Block* block;
	Api* api;
	unsigned char *shared, *end;
	const Kernel* kernels; // the last has no name
};

} // namespace hipemu
