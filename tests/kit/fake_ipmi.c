/*
 * A made-up /dev/ipmi0 behind functions of the C library: it takes requests and gives answers in the kernel's own structs,
 * and refuses what the kernel refuses. The functions ipmi_* tell it what to answer.
 */
#include <errno.h>
#include <linux/ioctl.h>
#include <linux/ipmi.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTOR = 1000, MOST = 16, READABLE = 1 };

/* struct pollfd: poll.h declares the function with attributes that a made-up one cannot keep. */
struct waited { int fd; short events, revents; };

static struct { int type; long id_offset; int length; unsigned char bytes[IPMI_MAX_MSG_LENGTH]; } script[MOST];
static int scripted, given;
static struct { int is_pending; long id; unsigned char netfn, cmd; } request;
static int open_error, send_error, open_now;
static unsigned char asked[64];
static int asked_length;

/* Forgets everything. Opening and asking fail with these error numbers, or not with 0. */
void ipmi_reset(int on_open, int on_send) {
  scripted = given = asked_length = 0;
  request.is_pending = 0;
  open_error = on_open;
  send_error = on_send;
}

/* The next answer: its kind, how far its number is from that of the request, and its data. */
void ipmi_answer(int type, int id_offset, const unsigned char *bytes, int length) {
  script[scripted].type = type;
  script[scripted].id_offset = id_offset;
  script[scripted].length = length;
  memcpy(script[scripted++].bytes, bytes, length);
}

/* Network function, command and data of the last request. Returns their length. */
int ipmi_asked(unsigned char *to) {
  memcpy(to, asked, asked_length);
  return asked_length;
}

int ipmi_open_now(void) {
  return open_now;
}

static int fail(int error) {
  errno = error;
  return -1;
}

int open(const char *path, int flags, int mode) {
  (void)mode;
  if (open_error) return fail(open_error);
  if (strcmp(path, "/dev/ipmi0") != 0 && !strstr(path, "/dev/ipmi")) return fail(ENOENT);
  if ((flags & 3) != 2) return fail(EINVAL);
  open_now++;
  return DESCRIPTOR;
}

int close(int descriptor) {
  if (descriptor != DESCRIPTOR) return fail(EBADF);
  open_now--;
  return 0;
}

static int has_answer(void) {
  return given < scripted && (request.is_pending || script[given].type != IPMI_RESPONSE_RECV_TYPE || script[given].id_offset);
}

int poll(struct waited *files, unsigned long count, int timeout) {
  if (count != 1 || files->fd != DESCRIPTOR || !(files->events & READABLE)) return fail(EINVAL);
  if (has_answer()) return files->revents = READABLE, 1;
  usleep((timeout < 10 ? timeout : 10) * 1000);
  return 0;
}

static int take(const struct ipmi_req *from) {
  const struct ipmi_system_interface_addr *address = (void *)from->addr;
  if (send_error) return fail(send_error);
  if (from->addr_len < sizeof *address || address->addr_type != IPMI_SYSTEM_INTERFACE_ADDR_TYPE) return fail(EINVAL);
  if (address->channel != IPMI_BMC_CHANNEL || address->lun != 0) return fail(EINVAL);
  request.is_pending = 1;
  request.id = from->msgid;
  request.netfn = from->msg.netfn;
  request.cmd = from->msg.cmd;
  asked[0] = from->msg.netfn;
  asked[1] = from->msg.cmd;
  memcpy(asked + 2, from->msg.data, from->msg.data_len);
  asked_length = 2 + from->msg.data_len;
  return 0;
}

static int give(struct ipmi_recv *to) {
  const struct ipmi_system_interface_addr address = { IPMI_SYSTEM_INTERFACE_ADDR_TYPE, IPMI_BMC_CHANNEL, 0 };
  if (!has_answer()) return fail(EAGAIN);
  if (to->addr_len < sizeof address) return fail(EINVAL);
  if (to->msg.data_len < script[given].length) return fail(EMSGSIZE);
  memcpy(to->addr, &address, sizeof address);
  to->addr_len = sizeof address;
  to->recv_type = script[given].type;
  to->msgid = request.id + script[given].id_offset;
  to->msg.netfn = request.netfn | 1;
  to->msg.cmd = request.cmd;
  to->msg.data_len = script[given].length;
  memcpy(to->msg.data, script[given].bytes, script[given].length);
  if (to->recv_type == IPMI_RESPONSE_RECV_TYPE && script[given].id_offset == 0) request.is_pending = 0;
  given++;
  return 0;
}

int ioctl(int descriptor, unsigned long what, void *memory) {
  if (descriptor != DESCRIPTOR) return fail(EBADF);
  if (what == IPMICTL_SEND_COMMAND) return take(memory);
  if (what == IPMICTL_RECEIVE_MSG_TRUNC) return give(memory);
  return fail(ENOTTY);
}
