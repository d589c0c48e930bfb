#include "tools/web/console_lines.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "vmm/base/unique_fd.hpp"

namespace sis_web {
namespace {

using nlohmann::ordered_json;

vmm::Result<std::string> read_at(const vmm::UniqueFd& file, std::uint64_t offset, const std::string& name) {
  std::string bytes(kMaxLogBytes, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got =
        ::pread(file.get(), bytes.data() + size, bytes.size() - size, static_cast<off_t>(offset + size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return vmm::fail_errno("cannot read " + name);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

vmm::Result<ConsoleLines> read_console_lines(const std::filesystem::path& log, std::optional<std::uint64_t> from) {
  const vmm::UniqueFd file(::open(log.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return vmm::fail_errno("cannot open " + log.string());
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::uint64_t begin = std::min(from.value_or(size - std::min<std::uint64_t>(size, kMaxLogBytes)), size);
  auto bytes = read_at(file, begin, log.string());
  if (!bytes) return std::unexpected(bytes.error());
  std::string_view rest = *bytes;
  // The first of the newest may have begun before.
  if (!from && begin > 0 && !rest.empty()) {
    const std::size_t cut = std::min(rest.find('\n'), rest.size() - 1) + 1;
    rest.remove_prefix(cut);
    begin += cut;
  }
  ConsoleLines lines{.text = {}, .next = begin};
  while (!rest.empty()) {
    std::size_t end = rest.find('\n');
    // A line without end is still being written, unless it is longer than any answer.
    if (end == std::string_view::npos && rest.size() < kMaxLogBytes) break;
    const bool whole = end != std::string_view::npos;
    if (!whole) end = rest.size();
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.text += ordered_json{{"offset", lines.next}, {"line", line}}.dump(-1, ' ', false,
                                                                            ordered_json::error_handler_t::replace) +
                  "\n";
    const std::size_t used = end + (whole ? 1 : 0);
    rest.remove_prefix(used);
    lines.next += used;
  }
  return lines;
}

}  // namespace sis_web
