// The examples of a page of the protocol: blocks "```vectors" of lines "> BYTES", what is sent, and "< ANSWER".
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "test_client.hpp"

namespace guest::control::testing {

struct Example {
  std::string title;  ///< the line above the block
  Bytes sent;
  std::vector<std::string> answers;  ///< a text for each line "< "
};

/// Adds what the text has in hexadecimal.
inline void append_hex(Bytes& bytes, const std::string& text) {
  std::istringstream words(text);
  unsigned value = 0;
  while (words >> std::hex >> value) {
    bytes.push_back(std::byte{static_cast<unsigned char>(value)});
  }
}

inline std::vector<Example> read_examples(const char* path) {
  std::ifstream page(path);
  std::vector<Example> examples;
  std::string line;
  std::string title;
  bool inside = false;
  while (std::getline(page, line)) {
    if (line == "```vectors") {
      examples.push_back({.title = title, .sent = {}, .answers = {}});
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside && line.starts_with("> ")) {
      append_hex(examples.back().sent, line.substr(2));
    } else if (inside && line.starts_with("< ")) {
      examples.back().answers.push_back(line.substr(2));
    } else if (!line.empty()) {
      title = line;
    }
  }
  return examples;
}

}  // namespace guest::control::testing
