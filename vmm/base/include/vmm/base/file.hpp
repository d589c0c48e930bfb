// Whole files, read with a bound and written so that a reader sees the old text or the new one.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm {

/// The file's bytes. A file of more than `max_bytes` is an error, and so is one that is not a regular file: a FIFO
/// would block the caller for good.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);

/// Writes the file under a temporary name in the same folder and moves it into place. `mode` is not subject to umask.
Result<> write_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);

/// The same for bytes.
Result<> write_file(const std::filesystem::path& path, std::span<const std::byte> bytes, mode_t mode = 0644);

/// Writes a file as write_file() does, in pieces: it has its name when commit() has been called, and is not there
/// before.
class FileWriter {
 public:
  static Result<FileWriter> create(std::filesystem::path path, mode_t mode = 0644);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();  ///< what was not committed is removed

  Result<> write(std::string_view text);
  Result<> commit();

 private:
  FileWriter(std::filesystem::path path, std::string temporary, UniqueFd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

  std::filesystem::path path_;
  std::string temporary_;  ///< empty: there is nothing to remove
  UniqueFd fd_;
};

/// Writes a file of `mode` that must not be there yet, not even as a link; it is never open to more than `mode`.
Result<> write_new_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);

/// Writes all of `bytes` to an open file. @param name of the file, for the error
Result<> write_all(const UniqueFd& file, std::span<const std::byte> bytes, const std::string& name);

/// The last `max_chars` characters of a log as one line, "..." in front if there are more. Empty if it cannot be read.
std::string end_of_log(const std::filesystem::path& path, std::size_t max_chars);

/// Makes `path` a folder of mode 0700 that belongs to the caller, or says who it belongs to. A symbolic link in the
/// last place is refused: in a shared folder such as /tmp somebody else may have put it there.
Result<> make_private_folder(const std::filesystem::path& path);

}  // namespace vmm
