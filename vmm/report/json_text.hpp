// JSON as text: checked once by a parser, then cut without being taken apart, so that what goes into the page is what
// the file has, to the last digit.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "vmm/base/result.hpp"

namespace vmm::report {

/// What is expected of an object in a file.
struct Expected {
  std::string_view format;  ///< of its member "format"; empty: it need have none
  int version = 0;          ///< of its member "version"; of objects with a format
};

/// Whether `text` is JSON in UTF-8, an object, and of the format that is expected. The error is a sentence without the
/// file's name.
Result<> check_object(std::string_view text, const Expected& expected = {});

/// Calls `member` with the key (as it is written, without the quotes) and the text of each value of an object.
/// @param text an object that a parser has accepted
void for_each_member(std::string_view text,
                     const std::function<void(std::string_view key, std::string_view value)>& member);

/// The same of an array's values.
void for_each_element(std::string_view text, const std::function<void(std::string_view value)>& element);

/// Text of any bytes as a JSON string, with its quotes; what is not UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

}  // namespace vmm::report
