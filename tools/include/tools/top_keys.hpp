// Keys that are typed at `sisctl top`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/top_view.hpp"

namespace sisctl {

struct Key {
  enum class Kind : std::uint8_t { Quit, Interrupt, Suspend, Show, Left, Right, Up, Down, PageUp, PageDown, Home, End };
  Kind kind;
  View view = View::All;  ///< of Show
};

/// Makes keys of bytes. The bytes of one key may come in pieces.
class KeyReader {
 public:
  std::vector<Key> feed(std::string_view bytes);

 private:
  void take(char c, std::vector<Key>& keys);

  std::string sequence_;  ///< an escape sequence so far
};

}  // namespace sisctl
