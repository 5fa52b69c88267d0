#include "attempts.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <utility>

namespace latlab {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kMuchMemory = 1ul << 40;

// A call's result as an error: 0 where it succeeded.
int error_of(long result) { return result < 0 ? errno : 0; }

// A descriptor's, which is closed again.
int error_of_descriptor(long descriptor) {
  if (descriptor < 0) return errno;
  close(static_cast<int>(descriptor));
  return 0;
}

// A child's, which ends at once.
int error_of_child(long pid) {
  if (pid == 0) _exit(0);
  if (pid < 0) return errno;
  waitpid(static_cast<pid_t>(pid), nullptr, __WALL);
  return 0;
}

int error_of_map(void* address, size_t size) {
  if (address == MAP_FAILED) return errno;
  munmap(address, size);
  return 0;
}

// To a port of this machine where nobody listens: that it is refused is an answer.
int connect_somewhere() {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  if (descriptor < 0) return errno;
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(9);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int result = connect(descriptor, reinterpret_cast<sockaddr*>(&name), sizeof name);
  const int error = result != 0 ? errno : 0;
  close(descriptor);
  return error == ECONNREFUSED ? 0 : error;
}

int execute() {
  const long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid < 0) {  // without a child of its own it would end this process
    char* const arguments[] = {nullptr};
    execve("/nonexistent/program", arguments, arguments);
    return errno == ENOENT ? 0 : errno;
  }
  if (pid == 0) {
    char* const arguments[] = {const_cast<char*>("true"), nullptr};
    execve("/bin/true", arguments, arguments);
    _exit(errno);
  }
  int status = 0;
  waitpid(static_cast<pid_t>(pid), &status, 0);
  return WEXITSTATUS(status);
}

// By a page, which only root may; where there is none, to what it is.
int raise_limit(int which) {
  rlimit limit{};
  getrlimit(static_cast<__rlimit_resource>(which), &limit);
  if (limit.rlim_max != RLIM_INFINITY) limit.rlim_max += kPage;
  return error_of(setrlimit(static_cast<__rlimit_resource>(which), &limit));
}

// It is no tracer of it, which is the answer to a call that was let through.
int trace_starter() {
  const int error = error_of(ptrace(PTRACE_CONT, getppid(), nullptr, nullptr));
  return error == ESRCH ? 0 : error;
}

int make_code(bool at_once) {
  const int wanted = PROT_READ | PROT_WRITE | (at_once ? PROT_EXEC : 0);
  void* page = mmap(nullptr, kPage, wanted, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return errno;
  const int error = at_once ? 0 : error_of(mprotect(page, kPage, PROT_READ | PROT_EXEC));
  munmap(page, kPage);
  return error;
}

int read_memory_of_own_process() {
  char from = 'x', to = 0;
  const iovec local{&to, 1}, remote{&from, 1};
  return error_of(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

}  // namespace

Prepared prepare() {
  char name[] = "/tmp/latlab-trial-XXXXXX";
  const int file = mkstemp(name);
  unlink(name);
  (void)!write(file, "kept", 4);
  return {file};
}

std::vector<AttemptResult> attempt(const Prepared& prepared) {
  const int file = prepared.file;
  char byte = 0;
  const iovec vector{&byte, 1};
  const std::vector<std::pair<std::string, std::function<int()>>> attempts = {
      {"socket tcp", [] { return error_of_descriptor(socket(AF_INET, SOCK_STREAM, 0)); }},
      {"socket udp", [] { return error_of_descriptor(socket(AF_INET, SOCK_DGRAM, 0)); }},
      {"socket unix", [] { return error_of_descriptor(socket(AF_UNIX, SOCK_STREAM, 0)); }},
      {"connect tcp", connect_somewhere},
      {"socket pair",
       [] {
         int pair[2];
         if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return errno;
         close(pair[0]);
         close(pair[1]);
         return 0;
       }},
      {"open to read", [] { return error_of_descriptor(open("/etc/passwd", O_RDONLY)); }},
      {"open to write", [] { return error_of_descriptor(open("/tmp", O_TMPFILE | O_RDWR, 0600)); }},
      {"open a folder", [] { return error_of_descriptor(open("/", O_RDONLY | O_DIRECTORY)); }},
#ifdef SYS_open
      {"open the old way",
       [] { return error_of_descriptor(syscall(SYS_open, "/etc/passwd", O_RDONLY)); }},
#endif
      {"make a folder",
       [] {
         char name[] = "/tmp/latlab-trial-XXXXXX";
         if (mkdtemp(name) == nullptr) return errno;
         rmdir(name);
         return 0;
       }},
      {"look at a file",
       [] {
         struct stat status;
         return error_of(stat("/etc/passwd", &status));
       }},
      {"fork", [] { return error_of_child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
      {"execute", execute},
      {"trace another process", trace_starter},
      {"map a file to read",
       [=] { return error_of_map(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file, 0), kPage); }},
      {"map a file as code",
       [=] {
         void* page = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
         return error_of_map(page, kPage);
       }},
      {"make code", [] { return make_code(true); }},
      {"turn data into code", [] { return make_code(false); }},
      {"write a file opened before", [=] { return error_of(pwrite(file, "x", 1, 0)); }},
      {"append to a file opened before", [=] { return error_of(write(file, "x", 1)); }},
      {"append a vector to it", [=] { return error_of(writev(file, &vector, 1)); }},
      {"read a file opened before", [=, &byte] { return error_of(pread(file, &byte, 1, 0)); }},
      {"read on from it", [=, &byte] { return error_of(read(file, &byte, 1)); }},
      {"change a file's length", [=] { return error_of(ftruncate(file, 4)); }},
      {"copy a descriptor", [=] { return error_of_descriptor(dup(file)); }},
      {"a file in memory", [] { return error_of_descriptor(memfd_create("trial", 0)); }},
      {"an event", [] { return error_of_descriptor(eventfd(0, 0)); }},
      {"raise the memory's limit", [] { return raise_limit(RLIMIT_AS); }},
      {"take much memory",
       [] {
         const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
         return error_of_map(mmap(nullptr, kMuchMemory, PROT_NONE, flags, -1, 0), kMuchMemory);
       }},
      {"read another's memory", read_memory_of_own_process},
      {"look for another process", [] { return error_of(kill(getppid(), 0)); }},
      {"outlive its starter", [] { return error_of(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)); }},
      {"go to another cpu",
       [] {
         cpu_set_t set;
         sched_getaffinity(0, sizeof set, &set);
         return error_of(sched_setaffinity(0, sizeof set, &set));
       }},
      {"change its priority", [] { return error_of(setpriority(PRIO_PROCESS, 0, 0)); }},
      {"handle a signal", [] { return signal(SIGUSR1, SIG_IGN) == SIG_ERR ? errno : 0; }},
      {"go to another folder", [] { return error_of(chdir("/")); }},
      {"set its user", [] { return error_of(setuid(getuid())); }},
  };
  std::vector<AttemptResult> results;
  for (const auto& [name, run] : attempts) results.push_back({name, run()});
  return results;
}

}  // namespace latlab
