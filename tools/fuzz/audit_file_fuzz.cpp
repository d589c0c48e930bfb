// A file that is said to be an audit log may hold anything: it is one, or its first bad line is named.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>

#include "tools/audit_file.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));  // bytes as text
  const auto verified = sisctl::verify_audit(in);
  if (verified) {
    require(verified->starts >= 1 && verified->hash.size() == 64);
    require(verified->records == 0 || (verified->first >= 1 && verified->last >= 1));
  } else {
    require(!verified.error().kind.empty() && !verified.error().message.empty());
    // It is shown on a terminal.
    for (const char c : verified.error().message) {
      require(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
    }
  }
  return 0;
}
