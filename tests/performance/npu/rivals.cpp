#include "rivals.hpp"

namespace npu_bench {

std::vector<Rival> rivals_of(const npu::Checked& command) {
  std::vector<Rival> found;
  for (const auto& find : {plain_matrices, plain_rows, plain_images}) {
    if (const Run run = find(command)) found.push_back({"plain", run});
  }
  if (const Run run = eigen(command)) found.push_back({"eigen", run});
  return found;
}

}  // namespace npu_bench
