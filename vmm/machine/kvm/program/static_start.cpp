// What the GNU C library does before main() of a static program, and this one does without.

/// The library asks the kernel where the program lies (readlink of /proc/self/exe, 25 000 instructions of a start), to
/// know what $ORIGIN means to dlopen(), which is not called here. This is its answer for "unknown" (glibc 2.36,
/// elf/dl-origin.c); the linker takes a function of the program's before one of an archive's. An archive that does not
/// ask for it has no use for this one either.
extern "C" const char* _dl_get_origin();  // NOLINT(bugprone-reserved-identifier): the library's name
extern "C" const char* _dl_get_origin() {
  return reinterpret_cast<const char*>(-1);  // NOLINT(performance-no-int-to-ptr): what the library compares it with
}
