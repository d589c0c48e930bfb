#include "vmm/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace vmm {
namespace {

constexpr std::size_t kMaxLogBytes = std::size_t{1} << 20;

}  // namespace

Result<> write_all(const UniqueFd& file, std::span<const std::byte> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("cannot write " + name);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

std::string end_of_log(const std::filesystem::path& path, std::size_t max_chars) {
  auto text = read_file(path, kMaxLogBytes);
  if (!text) return {};
  while (text->ends_with('\n')) text->pop_back();
  if (text->size() > max_chars) text = "... " + text->substr(text->size() - max_chars);
  std::ranges::replace(*text, '\n', ' ');
  return *text;
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  // O_NONBLOCK: opening a FIFO would otherwise wait for its other end before its kind can be seen.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return fail_errno("cannot open " + path.string());
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("cannot read " + path.string());
  if (!S_ISREG(status.st_mode)) return fail("cannot read " + path.string() + ": it is not a regular file");
  std::string text;
  std::array<char, 16384> chunk;
  while (true) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read " + path.string());
    if (got == 0) return text;
    if (static_cast<std::size_t>(got) > max_bytes - text.size()) {
      return fail("cannot read " + path.string() + ": it has more than the " + std::to_string(max_bytes) +
                  " bytes that are allowed");
    }
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

Result<FileWriter> FileWriter::create(std::filesystem::path path, mode_t mode) {
  std::string temporary = path.string() + ".XXXXXX";
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot create " + path.string());
  FileWriter writer(std::move(path), std::move(temporary), std::move(fd));
  if (::fchmod(writer.fd_.get(), mode) != 0) return fail_errno("cannot set the mode of " + writer.path_.string());
  return writer;
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})), fd_(std::move(other.fd_)) {}

FileWriter::~FileWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<> FileWriter::write(std::string_view text) {
  return write_all(fd_, std::as_bytes(std::span(text)), path_.string());
}

Result<> FileWriter::commit() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return fail_errno("cannot create " + path_.string());
  temporary_.clear();
  return {};
}

Result<> write_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  auto writer = FileWriter::create(path, mode);
  if (!writer) return std::unexpected(std::move(writer.error()));
  if (auto written = writer->write(text); !written) return written;
  return writer->commit();
}

Result<> write_new_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0600));
  if (!fd.valid()) return fail_errno("cannot create " + path.string());
  auto written = write_all(fd, std::as_bytes(std::span(text)), path.string());
  if (written && ::fchmod(fd.get(), mode) != 0) written = fail_errno("cannot set the mode of " + path.string());
  if (!written) ::unlink(path.c_str());
  return written;
}

Result<> write_file(const std::filesystem::path& path, std::span<const std::byte> bytes, mode_t mode) {
  // char may alias anything.
  return write_file(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), mode);
}

Result<> make_private_folder(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("cannot create " + path.string());
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return fail_errno("cannot read " + path.string());
  if (!S_ISDIR(status.st_mode)) return fail(path.string() + " is not a folder; remove it");
  if (status.st_uid != ::geteuid()) {
    return fail(path.string() + " belongs to user " + std::to_string(status.st_uid) + ", not to the caller (" +
                std::to_string(::geteuid()) + ")");
  }
  if ((status.st_mode & 0077) != 0 && ::chmod(path.c_str(), 0700) != 0) {
    return fail_errno("cannot close " + path.string() + " to other users");
  }
  return {};
}

}  // namespace vmm
