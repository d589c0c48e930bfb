#include "guest/arch/model/stolen_time.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <utility>
#include <vector>

namespace guest::arch {
namespace {

constexpr std::uint32_t kPsci1_1 = 0x1'0001;
constexpr std::uint64_t kNotSupported = ~std::uint64_t{0};  // -1

/// A hypervisor that answers what it is told to, and NOT_SUPPORTED to the rest.
struct Hypervisor {
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> answers;
  std::vector<std::uint32_t> called;
};
Hypervisor hypervisor;

std::uint64_t call(std::uint32_t function, std::uint64_t argument) {
  hypervisor.called.push_back(function);
  const auto answer = hypervisor.answers.find({function, argument});
  return answer == hypervisor.answers.end() ? kNotSupported : answer->second;
}

class StolenTimeOffer : public ::testing::Test {
 protected:
  /// As KVM answers.
  StolenTimeOffer() {
    hypervisor = {.answers = {{kFeatures, 0}, {kVersion, 0x1'0001}, {kArchFeatures, 0}, {kPvFeatures, 0}},
                  .called = {}};
  }
  static void address(std::uint64_t is) { hypervisor.answers[kAddress] = is; }

  static constexpr std::pair<std::uint32_t, std::uint64_t> kFeatures{0x8400'000a, 0x8000'0000};
  static constexpr std::pair<std::uint32_t, std::uint64_t> kVersion{0x8000'0000, 0};
  static constexpr std::pair<std::uint32_t, std::uint64_t> kArchFeatures{0x8000'0001, 0xc500'0020};
  static constexpr std::pair<std::uint32_t, std::uint64_t> kPvFeatures{0xc500'0020, 0xc500'0021};
  static constexpr std::pair<std::uint32_t, std::uint64_t> kAddress{0xc500'0021, 0};
};

TEST_F(StolenTimeOffer, IsFoundWhereItIs) { EXPECT_TRUE(offers_stolen_time(call, kPsci1_1)); }

TEST_F(StolenTimeOffer, IsNotAskedForWithoutPsci1) {
  EXPECT_FALSE(offers_stolen_time(call, 0));
  EXPECT_FALSE(offers_stolen_time(call, 2));  // 0.2
  EXPECT_TRUE(hypervisor.called.empty());
}

TEST_F(StolenTimeOffer, IsNotThereIfAnyAnswerSaysNo) {
  for (const auto& question : {kFeatures, kVersion, kArchFeatures, kPvFeatures}) {
    const std::uint64_t yes = std::exchange(hypervisor.answers[question], kNotSupported);
    hypervisor.called.clear();
    EXPECT_FALSE(offers_stolen_time(call, kPsci1_1)) << std::hex << question.first;
    EXPECT_EQ(hypervisor.called.back(), question.first);  // and nothing is called that may not be there
    hypervisor.answers[question] = yes;
  }
}

TEST_F(StolenTimeOffer, IsNotThereBeforeSmccc1_1) {
  hypervisor.answers[kVersion] = 0x1'0000;
  EXPECT_FALSE(offers_stolen_time(call, kPsci1_1));
}

// The upper half of what a 32-bit function returns is whatever was in the register.
TEST_F(StolenTimeOffer, DoesNotLookAtTheUpperHalfOf32BitAnswers) {
  hypervisor.answers[kFeatures] = 0xffff'ffff'0000'0000;
  hypervisor.answers[kVersion] = 0x1234'5678'0001'0001;
  EXPECT_TRUE(offers_stolen_time(call, kPsci1_1));
  hypervisor.answers[kArchFeatures] = 0xffff'ffff;  // -1
  EXPECT_FALSE(offers_stolen_time(call, kPsci1_1));
}

TEST_F(StolenTimeOffer, IsAtTheAddressThatIsTold) {
  address(0x090a'0040);
  EXPECT_EQ(stolen_time_address(call), 0x090a'0040U);
  address(0xffff'ffff'ffc0);  // the last one of 48 bits
  EXPECT_EQ(stolen_time_address(call), 0xffff'ffff'ffc0U);
}

TEST_F(StolenTimeOffer, IsNotAtAnAddressThatCannotBe) {
  EXPECT_FALSE(stolen_time_address(call));  // NOT_SUPPORTED
  for (const std::uint64_t wrong : {0x090a'0008ULL, 0x090a'0020ULL, 0x1'0000'0000'0000ULL, 0x8000'0000'0000'0000ULL}) {
    address(wrong);
    EXPECT_FALSE(stolen_time_address(call)) << std::hex << wrong;
  }
}

TEST(StolenTimeStructure, IsUnderstoodInRevisionAndAttributes0Only) {
  alignas(StolenTimeStructure) unsigned char bytes[sizeof(StolenTimeStructure)] = {};
  bytes[8] = 5;
  // As the kernel finds it in memory that somebody else has written.
  auto& structure = *reinterpret_cast<StolenTimeStructure*>(bytes);
  EXPECT_TRUE(is_understood(structure));
  EXPECT_EQ(structure.stolen_ns.load(), 5U);
  structure.revision = 1;
  EXPECT_FALSE(is_understood(structure));
  structure.revision = 0;
  structure.attributes = 1;
  EXPECT_FALSE(is_understood(structure));
}

}  // namespace
}  // namespace guest::arch
