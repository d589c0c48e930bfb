#include "guest/graph/operators/services.hpp"

namespace guest::graph {
namespace {

constinit OperatorServices services;

}  // namespace

void set_operator_services(const OperatorServices& given) { services = given; }
const OperatorServices& operator_services() { return services; }

}  // namespace guest::graph
