// Threads of a block as fibers: each has a stack, and the processor's state that a call keeps.
#pragma once

namespace hipemu {

// hipemu_switch keeps the state on the present stack, stores where, and goes on from another.
extern "C" void hipemu_switch(void** from, void* to);

// fresh returns a state that calls f(arg) on an empty stack. f does not return.
void* fresh(void* top, void (*f)(void*), void* arg);

} // namespace hipemu
