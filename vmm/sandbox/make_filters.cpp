// Runs on the build machine: makes of rules.hpp the filters for a processor, as C++ source, or the table of
// docs/sandbox.md.
//
// Usage: make_filters aarch64|x86_64 FILE    source with filter_of() and call_name() (filters.hpp)
//        make_filters traced FILE            for aarch64, but no rule allows its call: each asks a tracer, with its
//                                            number
//        make_filters rules                  the rules' numbers: NUMBER KIND CALL TEST | why no test can make use of it
//        make_filters table                  what docs/sandbox.md shows
//        make_filters check FILE             whether it does
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "filters.hpp"
#include "rules.hpp"
#include "shorten.hpp"

namespace vmm::sandbox {
namespace {

constexpr unsigned kRuleCount = std::size(kRules);

[[noreturn]] void give_up(const std::string& what, int error) {
  std::fprintf(stderr, "make_filters: %s: %s\n", what.c_str(), std::strerror(error < 0 ? -error : error));
  std::exit(1);
}

void check(int result, const std::string& what) {
  if (result < 0) give_up(what, result);
}

ThreadKind kind_of(unsigned index) { return static_cast<ThreadKind>(index); }

/// Of a rule in the filter of a kind, for a tracer: 16 bits.
unsigned number_of(unsigned rule, unsigned kind) { return rule * kThreadKinds + kind; }

class Filter {
 public:
  explicit Filter(std::uint32_t architecture) : context_(seccomp_init(SCMP_ACT_TRAP)) {
    if (context_ == nullptr) give_up("seccomp_init", ENOMEM);
    if (architecture != seccomp_arch_native()) {
      check(seccomp_arch_remove(context_, SCMP_ARCH_NATIVE), "seccomp_arch_remove");
      check(seccomp_arch_add(context_, architecture), "seccomp_arch_add");
    }
    check(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "SCMP_FLTATR_ACT_BADARCH");
    // One comparison for each number, the frequent ones first. A search by halves (2) is longer, and a filter's length
    // is what it costs to set it.
    check(seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 1), "SCMP_FLTATR_CTL_OPTIMIZE");
  }
  ~Filter() { seccomp_release(context_); }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  void add(const Rule& rule, std::uint32_t action) {
    const int call = seccomp_syscall_resolve_name(rule.call);
    if (call == __NR_SCMP_ERROR) give_up(rule.call, ENOSYS);
    std::vector<scmp_arg_cmp> comparisons;
    for (const ArgumentTest& test : rule.tests) {
      if (test.mask == 0) continue;
      comparisons.push_back({test.argument, SCMP_CMP_MASKED_EQ, test.mask, test.value});
    }
    check(seccomp_rule_add_array(context_, action, call, static_cast<unsigned>(comparisons.size()), comparisons.data()),
          std::string(rule.call) + " for " + rule.purpose);
  }

  /// The call is looked for the earlier, the higher the priority (0 for others).
  void prefer(const char* name, std::uint8_t priority) {
    check(seccomp_syscall_priority(context_, seccomp_syscall_resolve_name(name), priority), name);
  }

  std::vector<sock_filter> program() const {
    std::FILE* const file = std::tmpfile();
    if (file == nullptr) give_up("tmpfile", errno);
    check(seccomp_export_bpf(context_, ::fileno(file)), "seccomp_export_bpf");
    std::vector<sock_filter> instructions(static_cast<std::size_t>(::lseek(::fileno(file), 0, SEEK_END)) /
                                          sizeof(sock_filter));
    const auto bytes = static_cast<ssize_t>(instructions.size() * sizeof(sock_filter));
    if (::pread(::fileno(file), instructions.data(), static_cast<std::size_t>(bytes), 0) != bytes)
      give_up("pread", errno);
    std::fclose(file);
    return instructions;
  }

 private:
  scmp_filter_ctx context_;
};

/// When the kernel takes a filter, it goes through it once for each number of a system call, to find those that are
/// allowed whatever their arguments are: later ones of these do without the filter. That takes 100 000 instructions of
/// a machine's start, and saves fewer than 100 of a call. The survey ends where a filter reads an argument, so: first
/// of all.
void skip_survey(std::vector<sock_filter>& program) {
  program.insert(program.begin(), {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args)});
}

/// What a machine at work calls again and again, the most frequent first.
constexpr const char* kFrequent[] = {"ioctl", "ppoll", "read", "write", "recvmsg", "sendmsg", "futex"};

std::vector<sock_filter> make_program(unsigned kind, std::uint32_t architecture, bool traced) {
  Filter filter(architecture);
  bool makes_threads = false;
  for (unsigned i = 0; i < kRuleCount; ++i) {
    if ((kRules[i].kinds & one(kind_of(kind))) == 0) continue;
    makes_threads = makes_threads || kRules[i].call == std::string_view("clone");
    filter.add(kRules[i], traced ? SCMP_ACT_TRACE(number_of(i, kind)) : SCMP_ACT_ALLOW);
  }
  if (makes_threads) {
    // C libraries that try it go on with clone, whose flags a filter can see.
    Rule clone3{.kinds = kAll, .call = "clone3", .purpose = "refused"};
    filter.add(clone3, SCMP_ACT_ERRNO(ENOSYS));
  }
  auto priority = static_cast<std::uint8_t>(std::size(kFrequent));
  for (const char* const call : kFrequent) filter.prefer(call, priority--);
  std::vector<sock_filter> program = shorten(filter.program());
  skip_survey(program);
  return program;
}

void write_program(std::FILE* file, const char* name, const std::vector<sock_filter>& program) {
  std::fprintf(file, "constexpr sock_filter %s[] = {\n", name);
  for (const sock_filter& one : program) {
    std::fprintf(file, "    {0x%02x, %u, %u, 0x%08x},\n", one.code, one.jt, one.jf, one.k);
  }
  std::fprintf(file, "};\n");
}

/// Offsets into one text instead of pointers, of which a position-independent program would have to relocate each.
void write_names(std::FILE* file, std::uint32_t architecture) {
  constexpr int kNumbers = 512;
  std::string text;
  std::vector<std::size_t> begins;
  for (int number = 0; number < kNumbers; ++number) {
    begins.push_back(text.size());
    char* const name = seccomp_syscall_resolve_num_arch(architecture, number);
    if (name != nullptr) text += name;
    std::free(name);
  }
  begins.push_back(text.size());
  std::fprintf(file, "constexpr std::string_view kNames =\n    \"");
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::fprintf(file, "%s%c", i > 0 && i % 100 == 0 ? "\"\n    \"" : "", text[i]);
  }
  std::fprintf(file, "\";\nconstexpr unsigned short kBegins[] = {");
  for (std::size_t i = 0; i < begins.size(); ++i) std::fprintf(file, "%s%zu,", i % 20 == 0 ? "\n    " : " ", begins[i]);
  std::fprintf(file, "\n};\n");
}

void write_source(const char* path, std::uint32_t architecture, bool traced) {
  std::FILE* const file = std::fopen(path, "w");
  if (file == nullptr) give_up(path, errno);
  std::fprintf(file, "// Made by make_filters.\n#include \"filters.hpp\"\n\nnamespace vmm::sandbox {\nnamespace {\n\n");
  for (unsigned kind = 0; kind < kThreadKinds; ++kind) {
    write_program(file, name_of(kind_of(kind)), make_program(kind, architecture, traced));
  }
  write_names(file, architecture);
  std::fprintf(file,
               "\n}  // namespace\n\nstd::span<const sock_filter> filter_of(ThreadKind kind) {\n  switch (kind) {\n");
  for (unsigned kind = 0; kind < kThreadKinds; ++kind) {
    std::fprintf(file, "    case static_cast<ThreadKind>(%u):\n      return %s;\n", kind, name_of(kind_of(kind)));
  }
  std::fprintf(
      file,
      "  }\n  return {};\n}\n\nstd::string_view call_name(int number) {\n"
      "  const auto index = static_cast<unsigned>(number);\n"
      "  if (index + 1 >= std::size(kBegins) || kBegins[index] == kBegins[index + 1]) return \"system call\";\n"
      "  return kNames.substr(kBegins[index], kBegins[index + 1] - kBegins[index]);\n"
      "}\n\n}  // namespace vmm::sandbox\n");
  if (std::fclose(file) != 0) give_up(path, errno);
}

void print_rules() {
  for (unsigned i = 0; i < kRuleCount; ++i) {
    const Rule& rule = kRules[i];
    for (unsigned kind = 0; kind < kThreadKinds; ++kind) {
      if ((rule.kinds & one(kind_of(kind))) == 0) continue;
      std::printf("%u %s %s %s | %s\n", number_of(i, kind), name_of(kind_of(kind)), rule.call,
                  rule.tested == nullptr ? "" : rule.tested, rule.untried == nullptr ? "" : rule.untried);
    }
  }
}

std::string kinds_in_words(Kinds kinds) {
  if (kinds == kAll) return "all";
  std::string words;
  for (unsigned kind = 0; kind < kThreadKinds; ++kind) {
    if ((kinds & one(kind_of(kind))) != 0) words += (words.empty() ? "" : ", ") + std::string(name_of(kind_of(kind)));
  }
  return words;
}

std::string table() {
  std::string text = "| thread | system calls | of these with tests of arguments | rules |\n|---|---|---|---|\n";
  for (unsigned kind = 0; kind < kThreadKinds; ++kind) {
    std::set<std::string_view> calls;
    std::set<std::string_view> tested;
    unsigned rules = 0;
    for (const Rule& rule : kRules) {
      if ((rule.kinds & one(kind_of(kind))) == 0) continue;
      ++rules;
      calls.insert(rule.call);
      if (rule.tested != nullptr) tested.insert(rule.call);
    }
    text += std::string("| ") + name_of(kind_of(kind)) + " | " + std::to_string(calls.size()) + " | " +
            std::to_string(tested.size()) + " | " + std::to_string(rules) + " |\n";
  }
  text += "\n| system call | only | what for | threads |\n|---|---|---|---|\n";
  for (const Rule& rule : kRules) {
    text += std::string("| `") + rule.call + "` | " + (rule.tested == nullptr ? "" : rule.tested) + " | " +
            rule.purpose + (rule.untried == nullptr ? "" : std::string(" (not always tried: ") + rule.untried + ")") +
            " | " + kinds_in_words(rule.kinds) + " |\n";
  }
  return text;
}

/// True if the file has the table.
bool shows_table(const char* path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return text.find(table()) != std::string::npos;
}

}  // namespace
}  // namespace vmm::sandbox

int main(int argc, char** argv) {
  using namespace vmm::sandbox;
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (argc == 3 && what == "aarch64") {
    write_source(argv[2], SCMP_ARCH_AARCH64, false);
  } else if (argc == 3 && what == "traced") {
    write_source(argv[2], SCMP_ARCH_AARCH64, true);
  } else if (argc == 3 && what == "x86_64") {
    write_source(argv[2], SCMP_ARCH_X86_64, false);
  } else if (argc == 2 && what == "rules") {
    print_rules();
  } else if (argc == 2 && what == "table") {
    std::fputs(table().c_str(), stdout);
  } else if (argc == 3 && what == "check") {
    if (shows_table(argv[2])) return 0;
    std::fprintf(stderr, "%s does not show what `make_filters table` prints\n", argv[2]);
    return 1;
  } else {
    std::fprintf(stderr, "usage: make_filters aarch64|x86_64|traced|check FILE, or make_filters rules|table\n");
    return 2;
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
