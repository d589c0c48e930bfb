#include "guest/npu/refusal.hpp"

#include "guest/npu/names.hpp"

namespace guest::npu {

kernel::NamedError refused(std::string_view what, Refusal refusal) {
  return kernel::fail("npu-refused", "{} was refused: {}, {}", what, to_string(refusal.status),
                      to_string(refusal.reason))
      .error();
}

}  // namespace guest::npu
