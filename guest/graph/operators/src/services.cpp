#include "guest/graph/operators/services.hpp"

#include "files.hpp"

namespace guest::graph {
namespace {

constinit OperatorServices services;

}  // namespace

void set_operator_services(const OperatorServices& given) { services = given; }
const OperatorServices& operator_services() { return services; }

std::expected<std::span<const std::byte>, kernel::NamedError> find_file(std::string_view name) {
  if (services.files == nullptr) {
    return kernel::fail("graph-unavailable", "this kernel has no files for operators");
  }
  const auto found = services.files->find(name);
  if (!found) {
    return kernel::fail("graph-no-file", "there is no file '{}' in the boot archive", kernel::escaped(name));
  }
  return *found;
}

}  // namespace guest::graph
