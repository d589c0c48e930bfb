// Conditions on arbitrary replies: the guest chooses the value, here CBOR after a line with the pattern or path.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vmm/scenario/condition.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // char aliases anything
  const std::size_t line = std::min(text.find('\n'), size);
  const std::string word(text.substr(0, line));
  nlohmann::json reply;
  try {
    reply = nlohmann::json::from_cbor(text.substr(std::min(line + 1, size)), true, false);
  } catch (const nlohmann::json::exception&) {
    return 0;  // an impossible array size throws even where exceptions are switched off; the client's parser catches it
  }
  if (reply.is_discarded()) return 0;
  vmm::scenario::ReplyExpectation expectation;
  expectation.path = word;
  expectation.condition.matches = word;
  vmm::scenario::evaluate(expectation, reply);
  vmm::scenario::evaluate(vmm::scenario::Condition{.equals = reply, .min = 1, .contains = word}, &reply);
  return 0;
}
