/*
 * A made-up libnvidia-ml.so.1: it answers what a text file says, in the layouts of the vendor's documentation.
 *
 *     init 0                            the code of nvmlInit_v2; without the line 0
 *     gpu 00000000:3B:00.0 NVIDIA A100  begins a GPU
 *     PowerUsage 61520                  numbers, in the order of the struct
 *     Temperature ! 15                  the function returns this code
 *     Temperature wait                  the function returns when the line has changed
 *
 * The file is named by fake_nvml_answers, or else by the variable FAKE_NVML_ANSWERS.
 *
 * What has no line is not supported. Lists have a line for each element; one without numbers is an empty list.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint32_t u32;
typedef uint64_t u64;

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, OTHER_VERSION = 25, MOST = 16 };

typedef struct { u32 gpu, memory; } utilization;
typedef struct { u64 total, free, used; } memory_v1;
typedef struct { u32 version; u64 total, reserved, free, used; } memory_v2;
typedef struct { u32 pid; u64 memory; u32 gpu_instance, compute_instance; } process_info;
typedef struct { u32 pid; u64 time; u32 sm, memory, encoder, decoder; } process_sample;
typedef struct { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; } pci_info;
typedef struct {
  u32 field, scope;
  int64_t time, latency;
  u32 type, code;
  union { double f64; u32 ui; u64 ull; } value;
} field_value;

typedef struct { u64 counters[5]; } gpm_sample;
typedef struct { u32 id, code; double value; char *texts[3]; } gpm_metric;
typedef struct { u32 version, count; gpm_sample *before, *after; gpm_metric metrics[]; } gpm_metrics;

_Static_assert(sizeof(gpm_metric) == 40, "nvmlGpmMetric_t");
_Static_assert(sizeof(gpm_metrics) == 24, "nvmlGpmMetricsGet_t");
_Static_assert(sizeof(memory_v2) == 40, "nvmlMemory_v2_t");
_Static_assert(sizeof(process_info) == 24, "nvmlProcessInfo_t");
_Static_assert(sizeof(process_sample) == 32, "nvmlProcessUtilizationSample_t");
_Static_assert(sizeof(pci_info) == 68, "nvmlPciInfo_t");
_Static_assert(sizeof(field_value) == 40, "nvmlFieldValue_t");

static char path[4096];

void fake_nvml_answers(const char *from) {
  strncpy(path, from, sizeof path - 1);
}

/* The rest of line number n of those that begin with the key, in the part of one GPU; -1: before the first one. */
static int line_of(int gpu, const char *key, int n, char *rest, size_t size) {
  const char *named = getenv("FAKE_NVML_ANSWERS");
  FILE *file = fopen(path[0] || !named ? path : named, "r");
  char line[1024];
  int at = -1, found = 0;
  size_t length = strlen(key);
  while (file && fgets(line, sizeof line, file)) {
    if (strncmp(line, "gpu ", 4) == 0) at++;
    if (at != gpu || strncmp(line, key, length) != 0 || !strchr(" \n", line[length])) continue;
    if (n-- > 0) continue;
    snprintf(rest, size, "%s", line + length);
    rest[strcspn(rest, "\n")] = 0;
    found = 1;
    break;
  }
  if (file) fclose(file);
  return found;
}

/* The numbers of a line; their count, or a code below 0. */
static int numbers(int gpu, const char *key, int n, u64 *values) {
  char rest[1024], *at = rest, *end;
  int count = 0;
  if (!line_of(gpu, key, n, rest, sizeof rest)) return -NOT_SUPPORTED;
  while (strstr(rest, "wait")) {
    usleep(1000);
    if (!line_of(gpu, key, n, rest, sizeof rest)) return -NOT_SUPPORTED;
  }
  char *mark = strchr(rest, '!');
  if (mark) return -(int)strtoul(mark + 1, NULL, 10);
  for (; count < MOST; at = end) {
    u64 value = strtoull(at, &end, 10);
    if (end == at) break;
    values[count++] = value;
  }
  return count;
}

static int gpus(void) {
  char rest[1024];
  int count = 0;
  while (line_of(count, "gpu", 0, rest, sizeof rest)) count++;
  return count;
}

/* A GPU is 0x1000 + its index, a part of it 0x100000 + 256 * its index + that of the part. */
static int index_of(void *handle) { return (int)(uintptr_t)handle - 0x1000; }

static int take(void *handle, const char *key, u64 *values, int count) {
  int got = numbers(index_of(handle), key, 0, values);
  return got < 0 ? -got : got < count ? INVALID : OK;
}

static int take_u32(void *handle, const char *key, int which, u32 *value) {
  u64 values[MOST] = {0};
  int code = take(handle, key, values, which + 1);
  if (code == OK) *value = (u32)values[which];
  return code;
}

u32 nvmlInit_v2(void) {
  u64 values[MOST];
  int got = numbers(-1, "init", 0, values);
  return got > 0 ? (u32)values[0] : OK;
}

u32 nvmlShutdown(void) { return OK; }

u32 nvmlDeviceGetCount_v2(u32 *count) { return *count = (u32)gpus(), OK; }

u32 nvmlDeviceGetHandleByIndex_v2(u32 index, void **handle) {
  u64 values[MOST];
  int got = numbers((int)index, "handle", 0, values);
  if (got < 0 && got != -NOT_SUPPORTED) return (u32)-got;
  *handle = (void *)(uintptr_t)(0x1000 + index);
  return OK;
}

u32 nvmlDeviceGetName(void *handle, char *name, u32 length) {
  char rest[1024], *text;
  if (!line_of(index_of(handle), "gpu", 0, rest, sizeof rest)) return NOT_FOUND;
  text = strchr(rest + 1, ' ');
  snprintf(name, length, "%s", text ? text + 1 : "");
  return OK;
}

u32 nvmlDeviceGetPciInfo_v3(void *handle, pci_info *pci) {
  char rest[1024];
  if (!line_of(index_of(handle), "gpu", 0, rest, sizeof rest)) return NOT_FOUND;
  memset(pci, 0xff, sizeof *pci);
  rest[1 + strcspn(rest + 1, " ")] = 0;
  snprintf(pci->bus_id, sizeof pci->bus_id, "%s", rest + 1);
  return OK;
}

u32 nvmlDeviceGetTotalEnergyConsumption(void *handle, u64 *energy) {
  return (u32)take(handle, "TotalEnergyConsumption", energy, 1);
}

u32 nvmlDeviceGetPowerUsage(void *handle, u32 *power) { return (u32)take_u32(handle, "PowerUsage", 0, power); }

u32 nvmlDeviceGetTemperature(void *handle, u32 sensor, u32 *temperature) {
  return sensor != 0 ? INVALID : (u32)take_u32(handle, "Temperature", 0, temperature);
}

u32 nvmlDeviceGetUtilizationRates(void *handle, utilization *use) {
  u64 values[MOST];
  int code = take(handle, "UtilizationRates", values, 2);
  if (code == OK) *use = (utilization){(u32)values[0], (u32)values[1]};
  return (u32)code;
}

static int memory_of(void *handle, u64 *values) {
  int id = (int)(uintptr_t)handle - 0x100000;
  if (id < 0) return take(handle, "MemoryInfo", values, 4);
  int got = numbers(id / 256, "MigDevice", id % 256, values);
  memmove(values, values + 1, 4 * sizeof *values);
  return got < 5 ? NOT_FOUND : OK;
}

u32 nvmlDeviceGetMemoryInfo(void *handle, memory_v1 *memory) {
  u64 values[MOST];
  int code = memory_of(handle, values);
  if (code == OK) *memory = (memory_v1){values[0], values[2], values[3]};
  return (u32)code;
}

u32 nvmlDeviceGetEncoderUtilization(void *handle, u32 *percent, u32 *period) {
  int code = take_u32(handle, "EncoderUtilization", 0, percent);
  return code == OK ? (u32)take_u32(handle, "EncoderUtilization", 1, period) : (u32)code;
}

u32 nvmlDeviceGetDecoderUtilization(void *handle, u32 *percent, u32 *period) {
  int code = take_u32(handle, "DecoderUtilization", 0, percent);
  return code == OK ? (u32)take_u32(handle, "DecoderUtilization", 1, period) : (u32)code;
}

static u32 processes(void *handle, const char *key, u32 *count, process_info *list) {
  u64 values[MOST];
  u32 found = 0, room = list ? *count : 0;
  for (;; found++) {
    memset(values, 0xff, sizeof values);
    int got = numbers(index_of(handle), key, (int)found, values);
    if (found == 0 && got < 0) return (u32)-got;
    if (got <= 0) break;
    if (found < room) list[found] = (process_info){(u32)values[0], values[1], (u32)values[2], (u32)values[3]};
  }
  *count = found;
  return found > room ? TOO_SMALL : OK;
}

u32 nvmlDeviceGetComputeRunningProcesses_v2(void *handle, u32 *count, process_info *list) {
  return processes(handle, "ComputeRunningProcesses", count, list);
}

u32 nvmlDeviceGetGraphicsRunningProcesses_v2(void *handle, u32 *count, process_info *list) {
  return processes(handle, "GraphicsRunningProcesses", count, list);
}

/* `since` is in microseconds: with seconds, all samples come again and again. */
u32 nvmlDeviceGetProcessUtilization(void *handle, process_sample *list, u32 *count, u64 since) {
  u64 values[MOST];
  u32 found = 0, n = 0, room = list ? *count : 0;
  for (;; n++) {
    int got = numbers(index_of(handle), "ProcessUtilization", (int)n, values);
    if (n == 0 && got < 0) return (u32)-got;
    if (got < 6) break;
    if (values[1] <= since) continue;
    if (found < room) {
      list[found] = (process_sample){(u32)values[0], values[1], (u32)values[2], (u32)values[3], (u32)values[4],
                                     (u32)values[5]};
    }
    found++;
  }
  *count = found;
  return found == 0 ? NOT_FOUND : found > room ? TOO_SMALL : OK;
}

u32 nvmlDeviceGetClockInfo(void *handle, u32 type, u32 *megahertz) {
  return type > 3 ? INVALID : (u32)take_u32(handle, "ClockInfo", (int)type, megahertz);
}

u32 nvmlDeviceGetMigMode(void *handle, u32 *current, u32 *pending) {
  *pending = 0;
  return (u32)take_u32(handle, "MigMode", 0, current);
}

u32 nvmlDeviceGetMaxMigDeviceCount(void *handle, u32 *count) { return (void)handle, *count = 7, OK; }

u32 nvmlDeviceGetMigDeviceHandleByIndex(void *handle, u32 index, void **part) {
  char rest[1024];
  if (!line_of(index_of(handle), "MigDevice", (int)index, rest, sizeof rest)) return NOT_FOUND;
  *part = (void *)(uintptr_t)(0x100000 + 256 * index_of(handle) + (int)index);
  return OK;
}

u32 nvmlDeviceGetGpuInstanceId(void *part, u32 *id) {
  u64 values[MOST];
  int at = (int)(uintptr_t)part - 0x100000;
  if (at < 0 || numbers(at / 256, "MigDevice", at % 256, values) < 1) return INVALID;
  return *id = (u32)values[0], OK;
}

#ifndef OLD
u32 nvmlDeviceGetMemoryInfo_v2(void *handle, memory_v2 *memory) {
  u64 values[MOST];
  if (memory->version != (sizeof *memory | 2u << 24)) return OTHER_VERSION;
  int code = memory_of(handle, values);
  if (code == OK) *memory = (memory_v2){memory->version, values[0], values[1], values[2], values[3]};
  return (u32)code;
}

u32 nvmlDeviceGetComputeRunningProcesses_v3(void *handle, u32 *count, process_info *list) {
  return processes(handle, "ComputeRunningProcesses", count, list);
}

u32 nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, u32 *count, process_info *list) {
  return processes(handle, "GraphicsRunningProcesses", count, list);
}

/* A line `GpmSample 2 1000000 500000 250000 100000`: a GPU instance, a time, and how long its parts were busy until then. */
u32 nvmlGpmQueryDeviceSupport(void *handle, u32 *support) {
  char rest[1024];
  if (support[0] != 1) return OTHER_VERSION;
  return support[1] = (u32)line_of(index_of(handle), "GpmSample", 0, rest, sizeof rest), OK;
}

static int allocated;

int fake_nvml_samples(void) { return allocated; }

u32 nvmlGpmSampleAlloc(gpm_sample **sample) {
  *sample = calloc(1, sizeof **sample);
  return allocated++, OK;
}

u32 nvmlGpmSampleFree(gpm_sample *sample) { return free(sample), allocated--, OK; }

u32 nvmlGpmMigSampleGet(void *handle, u32 instance, gpm_sample *sample) {
  u64 values[MOST];
  for (int n = 0;; n++) {
    int got = numbers(index_of(handle), "GpmSample", n, values);
    if (got < 5) return got < 0 ? (u32)-got : NOT_FOUND;
    if (values[0] == instance) return memcpy(sample->counters, values, sizeof sample->counters), OK;
  }
}

u32 nvmlGpmMetricsGet(gpm_metrics *request) {
  if (request->version != 1) return OTHER_VERSION;
  u64 *before = request->before->counters, *after = request->after->counters;
  for (u32 n = 0; n < request->count; n++) {
    gpm_metric *metric = &request->metrics[n];
    int which = metric->id == 1 ? 2 : metric->id == 2 ? 3 : metric->id == 10 ? 4 : 0;
    metric->code = which ? OK : NOT_SUPPORTED;
    metric->value = 100.0 * ((double)after[which] - (double)before[which]) / ((double)after[1] - (double)before[1]);
  }
  return OK;
}

u32 nvmlDeviceGetFieldValues(void *handle, int count, field_value *fields) {
  for (int i = 0; i < count; i++) {
    char key[32];
    u64 values[MOST];
    snprintf(key, sizeof key, "Field%u", fields[i].field);
    int code = take(handle, key, values, 1);
    fields[i].code = (u32)code;
    fields[i].type = 1;
    if (code == OK) fields[i].value.ui = (u32)values[0];
  }
  return OK;
}
#endif
