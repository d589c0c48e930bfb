#include "image_source.hpp"

#include "bytes.hpp"
#include "files.hpp"
#include "guest/graph/operators/pattern.hpp"
#include "netpbm.hpp"

namespace guest::graph {
namespace {

class PatternSource final : public OperatorCode {
 public:
  PatternSource(const PatternImage& image, const Pace& pace) : image_(image), pace_(pace) {}

  void begin(std::uint64_t now_ns) override { pace_.begin(now_ns); }
  std::uint64_t ready_at(std::uint64_t /*now_ns*/) override { return pace_.ready_at(); }

  kernel::Outcome fire(Firing& firing) override {
    auto made = firing.allocate(DType::U8, {.rank = 2, .dims = {image_.height, image_.width}});
    if (!made) {
      return std::unexpected(made.error());
    }
    draw(image_, pace_.fired(), made->writable());
    if (firing.outputs() > 1) {
      auto label = firing.allocate(DType::U32, {.rank = 1, .dims = {1}});
      if (!label) {
        return std::unexpected(label.error());
      }
      store(label->writable(), 0, label_of(image_.pattern, pace_.fired()));
      firing.send(1, *std::move(label));
    }
    firing.send(0, *std::move(made));
    if (pace_.step()) {
      firing.finish();
    }
    return {};
  }

 private:
  PatternImage image_;
  Pace pace_;
};

class ImageFileSource final : public OperatorCode {
 public:
  ImageFileSource(const NetpbmImage& image, const Pace& pace) : image_(image), pace_(pace) {}

  void begin(std::uint64_t now_ns) override { pace_.begin(now_ns); }
  std::uint64_t ready_at(std::uint64_t /*now_ns*/) override { return pace_.ready_at(); }

  kernel::Outcome fire(Firing& firing) override {
    if (firing.outputs() > 1) {
      return kernel::fail("graph-no-label", "nobody knows the class of a file's image: expected 1 output");
    }
    const std::uint8_t rank = image_.channels == 1 ? 2 : 3;
    auto made = firing.allocate(DType::U8,
                                {.rank = rank, .dims = {image_.height, image_.width, rank == 3 ? image_.channels : 0}});
    if (!made) {
      return std::unexpected(made.error());
    }
    kernel::require(made->arena()->write(*made, 0, image_.samples) == kernel::Status::Ok, "an image does not fit");
    firing.send(0, *std::move(made));
    if (pace_.step()) {
      firing.finish();
    }
    return {};
  }

 private:
  NetpbmImage image_;
  Pace pace_;
};

MadeOperator make_file_source(const Parameters& parameters, const Pace& pace) {
  for (const std::string_view other : {"pattern", "width", "height", "seed", "noise"}) {
    if (parameters.has(other)) {
      return kernel::fail("graph-bad-parameter", "parameters 'file' and '{}' exclude each other", other);
    }
  }
  const auto file = find_file(parameters.text("file"));
  if (!file) {
    return std::unexpected(file.error());
  }
  const auto image = read_netpbm(*file);
  if (!image) {
    return kernel::fail(image.error().name, "file '{}': {}", kernel::escaped(parameters.text("file")),
                        image.error().detail.view());
  }
  return make_code<ImageFileSource>(*image, pace);
}

Pattern pattern_of(std::string_view name) {
  constexpr std::string_view kNames[] = {"gradient", "checker", "bars", "circle", "moving", "cycle", "shapes"};
  std::uint8_t index = 0;
  while (kNames[index] != name) {
    ++index;  // one of them: the parameter has been checked
  }
  return Pattern{index};
}

}  // namespace

MadeOperator make_image_source(const Parameters& parameters) {
  const Pace pace(parameters.integer("count"), parameters.integer("period_us"));
  if (parameters.has("file")) {
    return make_file_source(parameters, pace);
  }
  return make_code<PatternSource>(PatternImage{.pattern = pattern_of(parameters.text("pattern")),
                                               .width = static_cast<std::uint32_t>(parameters.integer("width")),
                                               .height = static_cast<std::uint32_t>(parameters.integer("height")),
                                               .seed = static_cast<std::uint64_t>(parameters.integer("seed")),
                                               .noise = static_cast<std::uint32_t>(parameters.integer("noise"))},
                                  pace);
}

}  // namespace guest::graph
