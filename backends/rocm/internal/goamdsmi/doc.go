// Package goamdsmi asks AMD's system management library for power, temperature, clocks and memory of its cards. The functions have the
// names and meanings of AMD's Go module of this name, which links the library; this one opens it when GO_gpu_init is called, so that
// nothing is needed where it is not. The module can take its place by another import. Where the module's library is missing, AMD SMI
// itself is asked, which it is a layer over.
//
// What a card does not tell is the greatest value of its type, and so is everything before GO_gpu_init has said true. Functions may be
// called concurrently once it has returned.
package goamdsmi
