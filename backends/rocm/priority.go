package rocm

// priority is above Vulkan's: of two names of one card this one is preferred.
const priority = 20
