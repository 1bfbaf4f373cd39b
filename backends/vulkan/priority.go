package vulkan

// priority is below that of backends that know one vendor's cards better.
const priority = 10
