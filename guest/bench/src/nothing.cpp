#include "nothing.hpp"

#include <new>

namespace guest::bench {
namespace {

class Nothing final : public graph::OperatorCode {
 public:
  kernel::Outcome fire(graph::Firing& /*firing*/) override { return {}; }
};

}  // namespace

std::unique_ptr<graph::OperatorCode> make_nothing() {
  return std::unique_ptr<graph::OperatorCode>(new (std::nothrow) Nothing);
}

}  // namespace guest::bench
