// How a user leaves an attached console.
#pragma once

#include <string>
#include <string_view>

namespace vmm {

/// Takes what is typed and gives what goes to the guest. Ctrl-] leaves, and so does Ctrl-A followed by x; Ctrl-A Ctrl-A
/// sends one Ctrl-A; Ctrl-A followed by anything else sends both.
class EscapeFilter {
 public:
  struct Typed {
    std::string bytes;  ///< for the guest
    bool leave = false;
  };

  Typed feed(std::string_view bytes);

 private:
  bool after_prefix_ = false;
};

}  // namespace vmm
