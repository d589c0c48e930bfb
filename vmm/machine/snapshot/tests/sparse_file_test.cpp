#include "vmm/machine/snapshot/sparse_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "vmm/base/mapped_region.hpp"

namespace vmm::snapshot {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kBytes = std::size_t{1} << 20;

class SparseFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-sparse-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ / "memory";
    memory_ = std::move(*MappedRegion::anonymous(kBytes));
    for (const std::size_t at : {std::size_t{0}, 3 * kBlock, 4 * kBlock + 17, kBytes - 1})
      memory_.data()[at] = std::byte{7};
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] GuestSlice memory() const { return {memory_.data(), memory_.size()}; }
  /// Expects the file to be the memory, in `blocks` blocks.
  void expect_written(long blocks) const {
    const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    ASSERT_EQ(::fstat(file.get(), &status), 0);
    EXPECT_EQ(status.st_size, static_cast<off_t>(kBytes));
    EXPECT_EQ(status.st_blocks * 512, blocks * static_cast<long>(kBlock));
    const auto back = MappedRegion::anonymous(kBytes);
    ASSERT_TRUE(read_sparse(file, {back->data(), back->size()}));
    EXPECT_EQ(std::memcmp(back->data(), memory_.data(), kBytes), 0);
  }

  Result<> write(const UniqueFd& backing = {}) const {
    return write_sparse(memory(), backing, UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  }

  fs::path folder_;
  fs::path path_;
  MappedRegion memory_;
};

TEST_F(SparseFile, holds_what_is_not_zero) {
  const auto written = write();
  ASSERT_TRUE(written) << written.error().message;
  expect_written(4);
}

TEST_F(SparseFile, of_zeros_holds_nothing) {
  std::memset(memory_.data(), 0, kBytes);
  ASSERT_TRUE(write());
  expect_written(0);
}

TEST_F(SparseFile, without_zeros_holds_all) {
  std::memset(memory_.data(), 1, kBytes);
  ASSERT_TRUE(write());
  expect_written(kBytes / kBlock);
}

TEST_F(SparseFile, holes_of_the_backing_file_are_left_untouched) {
  const UniqueFd backing(::memfd_create("sparse", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(backing.get(), kBytes), 0);
  memory_ = std::move(*MappedRegion::map_shared(backing, kBytes, 0));
  memory_.data()[5 * kBlock] = std::byte{1};
  memory_.data()[6 * kBlock] = std::byte{0};  // touched, and zero
  memory_.data()[kBytes - 1] = std::byte{2};
  ASSERT_TRUE(write(backing));
  struct stat status{};
  ASSERT_EQ(::fstat(backing.get(), &status), 0);
  EXPECT_EQ(status.st_blocks * 512, 3 * static_cast<long>(kBlock)) << "a hole was read";
  expect_written(2);
}

TEST_F(SparseFile, that_cannot_be_written_is_an_error) {
  ASSERT_TRUE(write());
  const auto written = write_sparse(memory(), {}, UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)));
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("cannot write the guest's memory"), std::string::npos);
}

TEST_F(SparseFile, private_mapping_leaves_the_file_alone) {
  ASSERT_TRUE(write());
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  const auto mapping = MappedRegion::map_private(file, kBytes, 0);
  ASSERT_TRUE(mapping) << mapping.error().message;
  EXPECT_EQ(mapping->data()[3 * kBlock], std::byte{7});
  mapping->data()[3 * kBlock] = std::byte{9};
  mapping->data()[100 * kBlock] = std::byte{9};
  expect_written(4);
}

}  // namespace
}  // namespace vmm::snapshot
