#include "boot_graphs.hpp"

#include "boot_config_step.hpp"
#include "boot_error.hpp"
#include "guest/graph/run/graph_builder.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/work.hpp"

namespace guest {
namespace {

constinit kernel::WorkItem resume([](void*) { graph::resume_graphs(graph::graph_set()); }, nullptr);

}  // namespace

void build_graphs() {
  graph::GraphBuilder builder(graph::graph_set());
  if (const kernel::Outcome built = kernel::visit_graphs(boot_archive(), kernel::kernel_heap(), builder); !built) {
    refuse_boot(built.error());
  }
}

void run_graphs() {
  if (graph::graph_set().size() != 0) {
    kernel::work_queue().raise(resume);
  }
}

}  // namespace guest
