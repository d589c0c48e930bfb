// A small command of every kind, for tests that hold for all of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "npu/testing/scene.hpp"

namespace npu::testing {

struct Example {
  std::string name;
  std::function<Scene()> make;
};

/// Every opcode, with every type of its operands and every flag.
const std::vector<Example>& examples();

}  // namespace npu::testing
