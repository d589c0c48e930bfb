#include "guest/arch/model/esr.hpp"

#include <gtest/gtest.h>

#include <string>

#include "guest/kernel/format.hpp"

namespace guest::arch {
namespace {

std::string syndrome(std::uint64_t esr) {
  kernel::FixedText<256> text;
  describe_syndrome(text, esr);
  return std::string(text.view());
}

std::string cause(std::uint64_t esr, std::uint64_t far) {
  kernel::FixedText<256> text;
  describe_cause(text, esr, far);
  return std::string(text.view());
}

std::string spsr(std::uint64_t value) {
  kernel::FixedText<256> text;
  describe_spsr(text, value);
  return std::string(text.view());
}

// The syndromes are those that QEMU reported for the named accesses.
TEST(Esr, write_to_page_zero_is_decoded) {
  EXPECT_EQ(syndrome(0x9600'0044),
            "EC 0x25 data abort, same EL; 32-bit instruction; ISS 0x44: write, DFSC 0x04 translation fault, level 0");
  EXPECT_EQ(cause(0x9600'0044, 0x10), "data abort: write at 0x10: translation fault, level 0");
}

TEST(Esr, write_to_code_is_a_permission_fault) {
  EXPECT_EQ(cause(0x9600'004f, 0xffff'8000'0000'0000),
            "data abort: write at 0xffff800000000000: permission fault, level 3");
}

TEST(Esr, execution_of_data_is_decoded) {
  EXPECT_EQ(cause(0x8600'000f, 0x1000), "instruction abort: execution at 0x1000: permission fault, level 3");
  EXPECT_EQ(syndrome(0x8600'000f),
            "EC 0x21 instruction abort, same EL; 32-bit instruction; ISS 0xf: IFSC 0x0f permission fault, level 3");
}

TEST(Esr, undefined_instruction_has_no_fault_address) {
  EXPECT_EQ(cause(0x0200'0000, 0x1234), "undefined instruction or unknown reason");
  EXPECT_FALSE(has_fault_address(0x0200'0000));
}

TEST(Esr, abort_with_invalid_far_does_not_show_it) {
  EXPECT_EQ(cause(0x9600'0410, 0x1234), "data abort, same EL: synchronous external abort");
}

TEST(Esr, mapping_faults_are_what_tables_cause) {
  for (const std::uint64_t abort :
       {0x9600'0004U, 0x9600'0007U, 0x9600'0009U, 0x9600'000fU, 0x9200'0046U, 0x8200'0007U}) {
    EXPECT_TRUE(is_mapping_fault(abort)) << std::hex << abort;
  }
  // Address size, synchronous external abort, alignment; then no abort at all: an SVC with the number 4.
  for (const std::uint64_t other : {0x9600'0003U, 0x9600'0010U, 0x9600'0021U, 0x5600'0004U}) {
    EXPECT_FALSE(is_mapping_fault(other)) << std::hex << other;
  }
}

TEST(Esr, breakpoint_shows_its_comment) {
  EXPECT_EQ(syndrome(0xf200'0001), "EC 0x3c BRK instruction; 32-bit instruction; ISS 0x1: comment 0x1");
}

TEST(Esr, unassigned_codes_say_so) {
  EXPECT_EQ(syndrome(std::uint64_t{0x3f} << 26), "EC 0x3f unassigned exception class; 16-bit instruction; ISS 0x0");
  EXPECT_EQ(describe_fault(0x3f), "unassigned fault status");
}

TEST(Esr, cache_maintenance_is_neither_read_nor_write) {
  EXPECT_EQ(cause(0x9600'0147, 0x20), "data abort: cache maintenance at 0x20: translation fault, level 3");
}

TEST(Spsr, mode_and_masks_are_words) {
  EXPECT_EQ(spsr(0x3c5), "EL1h, masked: D A I F");
  EXPECT_EQ(spsr(0x80), "EL0t, masked: I");
  EXPECT_EQ(spsr(0x5), "EL1h, masked: nothing");
  EXPECT_EQ(spsr(0x10), "AArch32, mode 0x0");
}

}  // namespace
}  // namespace guest::arch
