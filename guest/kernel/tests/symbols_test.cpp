#include "guest/kernel/symbols.hpp"

#include <gtest/gtest.h>

#include <string>

#include "guest/kernel/format.hpp"

namespace guest::kernel {
namespace {

std::string pretty(std::string_view name) {
  FixedText<128> text;
  write_symbol(text, name);
  return std::string(text.view());
}

class SymbolTableTest : public ::testing::Test {
 protected:
  static constexpr SymbolEntry kEntries[] = {{0x10, 0}, {0x40, 4}, {0x80, 8}};
  static constexpr std::string_view kNames{"one\0two\0end\0", 12};
  SymbolTable table{0xffff'0000'0000'0000, 0x100, kEntries, kNames};
  static constexpr std::uint64_t kBase = 0xffff'0000'0000'0000;
};

TEST_F(SymbolTableTest, address_in_a_function_gives_name_and_offset) {
  const auto match = table.find(kBase + 0x44);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->name, "two");
  EXPECT_EQ(match->offset, 4U);
  EXPECT_EQ(table.find(kBase + 0x40)->name, "two");
  EXPECT_EQ(table.find(kBase + 0x3f)->name, "one");
  EXPECT_EQ(table.find(kBase + 0xff)->name, "end");
}

TEST_F(SymbolTableTest, address_outside_of_the_image_or_before_the_first_gives_none) {
  EXPECT_FALSE(table.find(kBase + 0xf));
  EXPECT_FALSE(table.find(kBase - 1));
  EXPECT_FALSE(table.find(kBase + 0x100));
  EXPECT_FALSE(SymbolTable().find(0));
}

TEST_F(SymbolTableTest, name_outside_of_the_names_gives_none) {
  static constexpr SymbolEntry kWrong[] = {{0, 12}};
  EXPECT_FALSE(SymbolTable(0, 16, kWrong, kNames).find(1));
}

TEST(WriteSymbol, paths_are_written_as_people_read_them) {
  EXPECT_EQ(pretty("_ZN5guest6kernel3fooEv"), "guest::kernel::foo");
  EXPECT_EQ(pretty("_ZNK5guest6kernel4Heap10statisticsEv"), "guest::kernel::Heap::statistics");
  EXPECT_EQ(pretty("_ZN5guest6kernel12_GLOBAL__N_14testEv"), "guest::kernel::(anonymous)::test");
  EXPECT_EQ(pretty("_ZN5guest4HeapC1Ev"), "guest::Heap::Heap");
  EXPECT_EQ(pretty("_ZN5guest4HeapD2Ev"), "guest::Heap::~Heap");
  EXPECT_EQ(pretty("_Z3barv"), "bar");
}

TEST(WriteSymbol, other_forms_are_written_as_they_are) {
  for (const char* const name : {"memcpy", "", "_Z", "_ZN", "_ZNE", "_ZN5gue", "_ZN99999999999999999999999xE",
                                 "_ZNSt6vectorIiE4pushEi", "_ZN5guestplEv", "_ZN5guest", "_Z0v"}) {
    EXPECT_EQ(pretty(name), name);
  }
}

}  // namespace
}  // namespace guest::kernel
