// What the compiler and the standard library's headers call and no library of ours brings.
#include <cstddef>
#include <cstdint>

#include "guest/arch/panic_output.hpp"
#include "guest/kernel/panic.hpp"

extern "C" {
[[noreturn]] void __stack_chk_fail() { guest::kernel::panic("stack protector: a buffer on the stack was overrun"); }
[[noreturn]] void abort() { guest::kernel::panic("abort() was called"); }
[[noreturn]] void __cxa_pure_virtual() { guest::kernel::panic("a pure virtual function was called"); }
}

// Headers of libstdc++ throw through these; the kernel has no exceptions. The names and types are libstdc++'s
// (bits/functexcept.h), the format is not shown: its arguments are in the registers of the report.
namespace std {
/// _GLIBCXX_ASSERTIONS: indices, empty optionals and the like.
[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char* function, const char* condition) {
  guest::arch::panic_at_place(condition, file, static_cast<unsigned>(line), function);
}
[[noreturn]] void __throw_out_of_range_fmt(const char* format, ...) { guest::kernel::panic(format); }
[[noreturn]] void __throw_length_error(const char* what) { guest::kernel::panic(what); }
[[noreturn]] void __throw_logic_error(const char* what) { guest::kernel::panic(what); }
[[noreturn]] void __throw_bad_alloc() { guest::kernel::panic("no memory for the standard library"); }
[[noreturn]] void __throw_bad_array_new_length() { guest::kernel::panic("array size out of range"); }
[[noreturn]] void __throw_bad_function_call() { guest::kernel::panic("an empty std::function was called"); }
[[noreturn]] void __throw_bad_optional_access() { guest::kernel::panic("an empty std::optional was read"); }
}  // namespace std
