#include "guest/control/buffer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace guest::control {
namespace {

TEST(Buffer, behaves_as_a_queue_of_bytes) {
  Buffer buffer;
  std::deque<std::byte> model;
  std::mt19937 random(1);
  for (int step = 0; step < 5000; ++step) {
    if (random() % 2 == 0) {
      std::vector<std::byte> data(random() % 700);
      for (auto& byte : data) {
        byte = std::byte{static_cast<unsigned char>(random())};
      }
      ASSERT_TRUE(buffer.append(data));
      model.insert(model.end(), data.begin(), data.end());
    } else {
      const std::size_t count = random() % 800;
      buffer.consume(count);
      model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(std::min(count, model.size())));
    }
    if (random() % 500 == 0) {
      buffer.clear();
      model.clear();
    }
    ASSERT_EQ(buffer.size(), model.size());
    ASSERT_EQ(buffer.empty(), model.empty());
    ASSERT_TRUE(std::equal(model.begin(), model.end(), buffer.bytes().begin()));
  }
}

}  // namespace
}  // namespace guest::control
