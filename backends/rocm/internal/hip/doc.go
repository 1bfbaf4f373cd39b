// Package hip is the little of HIP and hiprtc that the backend calls. Both are opened when the program runs, by
// their names of the versions 5 to 7, so that nothing is linked and no SDK is needed to build.
//
// HIP's calls act on the device that the calling thread has chosen. So each group of calls stands between Enter
// and Leave, which hold the goroutine on its thread. What runs for each launch takes its arguments from an Args that
// the caller keeps, and allocates nothing.
//
// Structs of HIP that changed between versions are not used: what is known of a device comes from calls with flat arguments, and
// the name of its architecture, which no such call gives, is looked for in the bytes of the properties.
package hip
