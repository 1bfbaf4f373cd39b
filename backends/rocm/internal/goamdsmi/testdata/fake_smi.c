// A test aid: AMD SMI with two cards that are made up, on a socket each. VERSION is its first number, and says how its structs look.
#include <stdint.h>
#include <string.h>

enum { GOOD = 0, BAD_ARGUMENT = 1, NOT_STARTED = 32 };

static int up;
static char sockets[2], cards[2];

static int number(void *h) { return h == &cards[0] ? 0 : h == &cards[1] ? 1 : -1; }

int amdsmi_init(uint64_t flags) {
	if (flags != 2) return BAD_ARGUMENT;
	up = 1;
	return GOOD;
}

int amdsmi_shut_down(void) {
	int was = up;
	up = 0;
	return was ? GOOD : NOT_STARTED;
}

int amdsmi_get_lib_version(uint32_t *v) {
	v[0] = VERSION;
	v[1] = 4;
	return GOOD;
}

int amdsmi_get_socket_handles(uint32_t *n, void **h) {
	if (!up) return NOT_STARTED;
	if (h) {
		for (uint32_t i = 0; i < *n && i < 2; i++) h[i] = &sockets[i];
	}
	*n = 2;
	return GOOD;
}

int amdsmi_get_processor_handles(void *socket, uint32_t *n, void **h) {
	if (socket != &sockets[0] && socket != &sockets[1]) return BAD_ARGUMENT;
	if (h && *n) h[0] = &cards[(char *)socket - sockets];
	*n = 1;
	return GOOD;
}

int amdsmi_get_gpu_asic_info(void *h, char *info) {
	if (number(h) < 0) return BAD_ARGUMENT;
	strcpy(info, number(h) ? "Second" : "First");
	return GOOD;
}

int amdsmi_get_gpu_bdf_id(void *h, uint64_t *id) {
	if (number(h) < 0) return BAD_ARGUMENT;
	*id = (uint64_t)1 << 32 | 3ull << 28 | (0x43 + number(h)) << 8 | 2 << 3 | 1;
	return GOOD;
}

// The second card does not tell its current power.
int amdsmi_get_power_info(void *h, uint32_t *p) {
	if (number(h) < 0) return BAD_ARGUMENT;
#if VERSION >= 25
	p[0] = p[1] = ~0u;
	p += 2;
#endif
#if VERSION >= 24
	*p++ = number(h) ? 0xffff : 310;
#endif
	p[0] = 250;
	p[1] = 900; // a voltage
	return GOOD;
}

int amdsmi_get_temp_metric(void *h, int sensor, int metric, int64_t *t) {
	if (number(h) < 0 || metric) return BAD_ARGUMENT;
	*t = 40 + 10 * number(h) + sensor;
	return GOOD;
}

int amdsmi_get_clock_info(void *h, int type, uint32_t *c) {
	if (number(h) < 0) return BAD_ARGUMENT;
	c[0] = type == 0 ? 2100 : type == 4 ? 1300 : 7;
	return GOOD;
}

int amdsmi_get_gpu_activity(void *h, uint32_t *a) {
	if (number(h) < 0) return BAD_ARGUMENT;
	a[0] = 50 + number(h);
	a[1] = 20;
	return GOOD;
}

int amdsmi_get_gpu_memory_usage(void *h, int type, uint64_t *n) {
	if (number(h) < 0 || type) return BAD_ARGUMENT;
	*n = (5ull << 32) + number(h);
	return GOOD;
}

int amdsmi_get_gpu_memory_total(void *h, int type, uint64_t *n) {
	if (number(h) < 0 || type) return BAD_ARGUMENT;
	*n = 16ull << 30;
	return GOOD;
}
