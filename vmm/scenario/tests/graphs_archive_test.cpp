// Schemas, graphs and the files of operators in the boot archive, as the guest reads them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "guest/kernel/archive.hpp"
#include "guest/kernel/boot_config.hpp"
#include "guest/kernel/graph_config.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/testing/arena.hpp"
#include "vmm/base/file.hpp"
#include "vmm/scenario/boot_archive.hpp"
#include "vmm/scenario/files.hpp"
#include "vmm/scenario/load.hpp"

namespace vmm::scenario {
namespace {

namespace kernel = guest::kernel;

/// Keeps what it is told. Of configs only the numbers: their texts do not outlive the visit.
class Recorder final : public kernel::GraphConfigVisitor {
 public:
  kernel::Outcome schema(const kernel::SchemaConfig& config) override {
    schemas += std::string(config.name) + "=" + std::to_string(config.id) + " ";
    return {};
  }
  kernel::Outcome graph(const kernel::GraphConfig& config) override {
    graphs.push_back(config);
    names += std::string(config.name) + " ";
    return {};
  }
  kernel::Outcome channel(const kernel::ChannelConfig& config) override {
    channels += std::to_string(config.id) + "/" + std::to_string(config.capacity) + "/" + std::string(config.policy) +
                "/" + std::string(config.schema) + " ";
    return {};
  }
  kernel::Outcome operator_(const kernel::OperatorConfig& config) override {
    operators.push_back(config);
    std::string& line = operator_texts.emplace_back(std::string(config.name) + " " + std::string(config.kind) + " " +
                                                    std::string(config.stage) + " " + std::string(config.in_schema) +
                                                    ">" + std::string(config.out_schema));
    for (const kernel::ParameterConfig& parameter : config.parameters) {
      line += " " + std::string(parameter.name) + "=" + std::string(parameter.value);
    }
    return {};
  }
  kernel::Outcome end_graph() override {
    ++ends;
    return {};
  }

  std::string schemas;
  std::string names;
  std::string channels;
  std::vector<kernel::GraphConfig> graphs;
  std::vector<kernel::OperatorConfig> operators;
  std::vector<std::string> operator_texts;
  int ends = 0;
};

class GraphsArchiveTest : public testing::Test {
 protected:
  GraphsArchiveTest() {
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    const kernel::PhysRange memory[] = {arena.range()};
    EXPECT_EQ(pages.add_memory(memory, {}), kernel::Status::Ok);
  }
  ~GraphsArchiveTest() override { std::filesystem::remove_all(folder); }

  std::string file(const std::string& name, const std::string& contents) const {
    std::filesystem::create_directories(std::filesystem::path(folder + "/" + name).parent_path());
    EXPECT_TRUE(write_file(folder + "/" + name, contents));
    return folder + "/" + name;
  }
  /// The archive of a scenario file in the folder, opened.
  void open(const std::string& yaml) {
    const auto scenario = load_text("apiVersion: sis/v1\n" + yaml, folder + "/t.yaml");
    ASSERT_TRUE(scenario) << scenario.error().message;
    auto made = make_archive(*scenario, {.control_key = {}, .unix_time_ns = 0});
    ASSERT_TRUE(made) << made.error().message;
    bytes = *std::move(made);
    const auto read = kernel::read_boot_config(bytes, heap, archive, config);
    ASSERT_TRUE(read) << read.error().detail.view();
  }
  void visit() {
    const auto outcome = kernel::visit_graphs(archive, heap, recorder);
    ASSERT_TRUE(outcome) << outcome.error().detail.view();
    EXPECT_EQ(heap.statistics().live_blocks, 0U);
  }
  static std::vector<std::uint32_t> ids(const auto& ports) { return {ports.begin(), ports.end()}; }
  static std::string error_of(const std::vector<std::string>& files, const FileLimits& limits = {}) {
    Scenario scenario;
    scenario.graphs.push_back({.name = "g"});
    for (const std::string& path : files) {
      scenario.graphs[0].operators.push_back({.name = "o", .kind = "k", .parameters = {.file = path}});
    }
    const auto read = read_files(scenario, limits);
    if (read) return "no error";
    EXPECT_EQ(read.error().exit_code, abi::ExitCode::Usage);
    return read.error().message;
  }

  std::string folder = testing::TempDir() + "sis-graphs-XXXXXX";
  kernel::testing::Arena arena{0x4000'0000, 4 * 1024 * 1024};
  kernel::PageAllocator pages{arena.map()};
  kernel::Heap heap{pages};
  kernel::Archive archive;
  kernel::BootConfig config;
  std::vector<std::byte> bytes;
  Recorder recorder;
};

TEST_F(GraphsArchiveTest, guest_is_told_what_the_scenario_says) {
  open(
      "schemas: [{name: label}, {name: image, id: 3000}]\n"
      "graphs:\n"
      "- name: vision\n"
      "  memory: 4MiB\n"
      "  tensors: 16\n"
      "  server: {budget: 2ms, period: 10ms, reservation: soft}\n"
      "  start: manual\n"
      "  steps: 7\n"
      "  channels:\n"
      "  - {id: 0, capacity: 1, schema: image}\n"
      "  - {id: 65534, capacity: 65535, policy: drop-newest}\n"
      "  operators:\n"
      "  - {id: 1, name: camera, kind: image-source, stage: acquire, priority: 255, wcet: 200us, out: [0], out_schema: "
      "3000, parameters: {width: 32, pattern: checker}}\n"
      "  - {id: 2, name: b, kind: s, stage: model, in: [0], out: [65534], in_schema: image, out_schema: text}\n"
      "  - {id: 3, name: c, kind: s, stage: explain, in: [65534]}\n"
      "- {name: other, server: {budget: 1ms, period: 4ms, deadline: 3ms}, operators: [{id: 1, name: a, kind: k, stage: "
      "clean}]}\n");
  visit();
  EXPECT_EQ(recorder.schemas, "image=3000 label=0 ");  // so that the kernel does not choose 3000
  EXPECT_EQ(recorder.names, "vision other ");
  EXPECT_EQ(recorder.channels, "0/1/block/image 65534/65535/drop-newest/ ");
  EXPECT_EQ(recorder.operator_texts,
            (std::vector<std::string>{"camera image-source acquire >image width=32 pattern=checker",
                                      "b s model image>text", "c s explain >", "a k clean >"}));
  EXPECT_EQ(recorder.ends, 2);
  const kernel::GraphConfig& vision = recorder.graphs.at(0);
  EXPECT_EQ(std::tuple(vision.memory_bytes, vision.tensors, vision.steps), std::tuple(4U << 20, 16U, 7U));
  EXPECT_EQ(std::tuple(vision.budget_ns, vision.deadline_ns, vision.period_ns),
            std::tuple(2'000'000U, 10'000'000U, 10'000'000U));
  EXPECT_TRUE(vision.soft && vision.manual);
  const kernel::GraphConfig& other = recorder.graphs.at(1);
  EXPECT_EQ(std::tuple(other.memory_bytes, other.tensors, other.steps), std::tuple(1U << 20, 256U, 0U));
  EXPECT_EQ(std::tuple(other.budget_ns, other.deadline_ns, other.period_ns),
            std::tuple(1'000'000U, 3'000'000U, 4'000'000U));
  EXPECT_FALSE(other.soft || other.manual);
  const kernel::OperatorConfig& camera = recorder.operators.at(0);
  EXPECT_EQ(std::tuple(camera.id, camera.priority, camera.wcet_ns, camera.cpu), std::tuple(1U, 255U, 200'000U, 0U));
  EXPECT_THAT(ids(recorder.operators.at(1).inputs), testing::ElementsAre(0U));
  EXPECT_THAT(ids(recorder.operators.at(1).outputs), testing::ElementsAre(65534U));
  EXPECT_EQ(recorder.operators.at(1).wcet_ns, 0U);
}

TEST_F(GraphsArchiveTest, every_stage_policy_and_cpu_is_the_guests) {
  open(
      "machine: {cpus: 5}\ngraphs:\n- name: g\n  channels:\n"
      "  - {id: 1, capacity: 1, policy: block}\n  - {id: 2, capacity: 1, policy: drop-oldest}\n"
      "  - {id: 3, capacity: 1, policy: drop-newest}\n  operators:\n"
      "  - {id: 1, name: a, kind: k, stage: acquire, cpu: 0, out: [1, 2, 3]}\n"
      "  - {id: 2, name: b, kind: k, stage: clean, cpu: 1, in: [3, 1, 2]}\n"
      "  - {id: 3, name: c, kind: k, stage: explore, cpu: 2}\n  - {id: 4, name: d, kind: k, stage: model, cpu: 3}\n"
      "  - {id: 5, name: e, kind: k, stage: explain, cpu: 4}\n");
  visit();
  EXPECT_EQ(recorder.channels, "1/1/block/ 2/1/drop-oldest/ 3/1/drop-newest/ ");
  const char* const stages[] = {"acquire", "clean", "explore", "model", "explain"};
  ASSERT_EQ(recorder.operators.size(), 5U);
  for (unsigned i = 0; i < 5; ++i) {
    EXPECT_EQ(recorder.operators[i].cpu, i);
    EXPECT_THAT(recorder.operator_texts[i], testing::HasSubstr(std::string(" ") + stages[i] + " "));
  }
  EXPECT_THAT(ids(recorder.operators[1].inputs), testing::ElementsAre(3U, 1U, 2U));
}

TEST_F(GraphsArchiveTest, largest_scenario_fits) {
  std::string yaml = "graphs:\n";
  for (int g = 0; g < 8; ++g) {
    yaml += "- name: g" + std::to_string(g) + "\n  channels:\n";
    for (int c = 0; c < 64; ++c) yaml += "  - {id: " + std::to_string(c) + ", capacity: 1}\n";
    yaml += "  operators:\n";
    for (int o = 0; o < 64; ++o) {
      const std::string number = std::to_string(o + 1);
      yaml += "  - {id: " + number + ", name: o" + number + ", kind: k, stage: model, in: [" + std::to_string(o) +
              "], out: [" + std::to_string(o) + "], parameters: {a: " + std::string(64, 'x') +
              ", b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1}}\n";
    }
  }
  open(yaml);
  visit();
  EXPECT_EQ(recorder.operators.size(), 512U);
}

TEST_F(GraphsArchiveTest, tree_without_memory_for_its_copy_is_an_error) {
  open("graphs: [{name: g, operators: [{id: 1, name: a, kind: k, stage: model}]}]");
  kernel::PageAllocator none{arena.map()};
  kernel::Heap empty{none};
  const auto outcome = kernel::visit_graphs(archive, empty, recorder);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().name, "config-no-memory");
}

TEST_F(GraphsArchiveTest, boot_without_an_archive_has_no_graphs) {
  EXPECT_TRUE(kernel::visit_graphs(kernel::Archive(), heap, recorder));
  EXPECT_TRUE(recorder.graphs.empty());
}

TEST_F(GraphsArchiveTest, file_of_operators_is_in_the_archive_once_and_they_are_told_its_name) {
  file("shapes.pgm", "P5 pixels");
  file("more/empty.pgm", "");
  open(
      "graphs: [{name: g, operators: [{id: 1, name: a, kind: k, stage: model, parameters: {file: shapes.pgm, x: 1}},"
      " {id: 2, name: b, kind: k, stage: model, parameters: {file: ./more/../shapes.pgm}},"
      " {id: 3, name: c, kind: k, stage: model, parameters: {file: more/empty.pgm}}]}]");
  EXPECT_EQ(archive.files().size(), 3U);
  const auto found = archive.find("files/shapes.pgm");
  ASSERT_TRUE(found);
  EXPECT_TRUE(std::ranges::equal(found->data, std::as_bytes(std::span(std::string_view("P5 pixels")))));
  EXPECT_TRUE(archive.find("files/empty.pgm"));
  visit();
  EXPECT_EQ(recorder.operator_texts,
            (std::vector<std::string>{"a k model > x=1 file=files/shapes.pgm", "b k model > file=files/shapes.pgm",
                                      "c k model > file=files/empty.pgm"}));
}

TEST_F(GraphsArchiveTest, file_that_is_none_is_refused_with_the_reason) {
  EXPECT_EQ(error_of({folder + "/absent"}),
            "graphs[0].operators[0].parameters.file: found no file (cannot open " + folder +
                "/absent: No such file or directory), allowed: a file of at most 16MiB");
  EXPECT_EQ(error_of({folder}), "graphs[0].operators[0].parameters.file: found no file (cannot read " + folder +
                                    ": it is not a regular file), allowed: a file of at most 16MiB");
}

TEST_F(GraphsArchiveTest, files_have_as_many_bytes_as_is_allowed) {
  const std::string one = file("one", "12345");
  const std::string two = file("two", "67890");
  EXPECT_EQ(error_of({one}, {.file_bytes = 5}), "no error");
  EXPECT_EQ(error_of({one}, {.file_bytes = 4}),
            "graphs[0].operators[0].parameters.file: found no file (cannot read " + one +
                ": it has more than the 4 bytes that are allowed), allowed: a file of at most 4B");
  EXPECT_EQ(error_of({one, two}, {.total_bytes = 10}), "no error");
  EXPECT_EQ(error_of({one, two}, {.total_bytes = 9}),
            "graphs[0].operators[1].parameters.file: found 10 bytes with the files before it, allowed: at most 9B of "
            "all files together");
}

}  // namespace
}  // namespace vmm::scenario
