// Commands that show the kernel's networks, for the table (command_table.cpp).
#pragma once

#include "demo_model.hpp"
#include "handlers.hpp"

namespace guest::control {

inline constexpr std::uint64_t kMaxDemoImages = 10'000;

inline constexpr ArgumentSpec kMldemoArguments[] = {
    {.name = "count",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxDemoImages,
     .help = "images, up to 10000; 200 unless given"},
    {.name = "model", .type = ArgumentType::Choice, .choices = kModels, .help = "patterns unless given"}};
inline constexpr ArgumentSpec kInfdemoArguments[] = {
    {.name = "model", .type = ArgumentType::Choice, .choices = kModels, .help = "shapes unless given"},
    {.name = "number",
     .type = ArgumentType::Integer,
     .max = UINT32_MAX,
     .help = "of the image: the same number is the same image; 0 unless given"}};
inline constexpr ArgumentSpec kAiBenchArguments[] = {
    {.name = "model", .type = ArgumentType::Choice, .choices = kModels, .help = "both unless given"},
    {.name = "count",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxDemoImages,
     .help = "inferences on each accelerator, up to 10000; 20 unless given"}};

inline constexpr Command kAiBenchCommand = {
    .name = "ai_bench",
    .help = "inferences a second of the kernel's networks, on the NPU and on the CPU",
    .details =
        "One at a time, after one that does not count. latency: from submission to end, by the guest's clock. "
        "cpu_to_npu_permille:\nthe CPU's median latency in thousandths of the device's; not where there is no device.",
    .arguments = kAiBenchArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_ai_bench};
inline constexpr Command kInfdemoCommand = {
    .name = "infdemo",
    .help = "one inference from image to class, layer by layer",
    .details = "The image is drawn by a program. Scores are thousandths of the last layer's numbers.",
    .arguments = kInfdemoArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_infdemo,
    .render = render_infdemo};
inline constexpr Command kMldemoCommand = {
    .name = "mldemo",
    .help = "how many images a network of the kernel knows, and what that takes",
    .details = "Images that a program draws, of classes in turn; training has not seen them.",
    .arguments = kMldemoArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_mldemo};

}  // namespace guest::control
