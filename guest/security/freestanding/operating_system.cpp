// Functions of an operating system that libsodium's archive names. The parts of libsodium in use (HMAC, SHA-256,
// Ed25519, comparison, clearing) call only the ones that do something here; any other call is a panic that names it.
//
// Signatures are those of POSIX and of glibc, which the archive was built against.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "guest/kernel/panic.hpp"

namespace {
[[noreturn]] void refuse(std::string_view what) { guest::kernel::panic(what); }
}  // namespace

extern "C" {

struct pthread_mutex;
/// Nothing of what is in use keeps state that threads share: nothing to lock.
int pthread_mutex_lock(pthread_mutex*) { return 0; }
int pthread_mutex_unlock(pthread_mutex*) { return 0; }

int* __errno_location() {
  static constinit int error = 0;
  return &error;
}

/// Clears memory that the compiler may think is dead; glibc's fortified explicit_bzero().
void __explicit_bzero_chk(void* bytes, std::size_t size, std::size_t object_size) {
  guest::kernel::require(size <= object_size, "libsodium clears beyond an object");
  std::memset(bytes, 0, size);
  asm volatile("" : : "r"(bytes) : "memory");  // the store is needed although nothing reads it
}

[[noreturn]] void __assert_fail(const char* assertion, const char*, unsigned, const char*) { refuse(assertion); }

int close(int) { refuse("libsodium called close()"); }
int fcntl(int, int, ...) { refuse("libsodium called fcntl()"); }
int fstat(int, void*) { refuse("libsodium called fstat()"); }
int getpid() { refuse("libsodium called getpid()"); }
long getrandom(void*, std::size_t, unsigned) { refuse("libsodium called getrandom()"); }
int madvise(void*, std::size_t, int) { refuse("libsodium called madvise()"); }
int mlock(const void*, std::size_t) { refuse("libsodium called mlock()"); }
void* mmap(void*, std::size_t, int, int, int, long) { refuse("libsodium called mmap()"); }
int mprotect(void*, std::size_t, int) { refuse("libsodium called mprotect()"); }
int munlock(const void*, std::size_t) { refuse("libsodium called munlock()"); }
int munmap(void*, std::size_t) { refuse("libsodium called munmap()"); }
int open(const char*, int, ...) { refuse("libsodium called open()"); }
int poll(void*, unsigned long, int) { refuse("libsodium called poll()"); }
int raise(int) { refuse("libsodium called raise()"); }
long read(int, void*, std::size_t) { refuse("libsodium called read()"); }
long sysconf(int) { refuse("libsodium called sysconf()"); }
void* malloc(std::size_t) { refuse("libsodium called malloc()"); }
void free(void*) { refuse("libsodium called free()"); }

}  // extern "C"
