// Commands of uploads, for the table (command_table.cpp).
#pragma once

#include "guest/llm/package/manifest.hpp"
#include "handlers.hpp"

namespace guest::control {

/// Most at a time, those that are being loaded among them.
inline constexpr std::size_t kMaxUploads = 4;
/// One part in so many of the machine's pages stays free when an upload begins.
inline constexpr std::uint64_t kUploadReserve = 16;
/// An upload ends of which so long no piece has come that was taken, and no end.
inline constexpr std::uint64_t kUploadIdleNs = 30'000'000'000;
/// Most bytes of a piece: with what is around them they fit a frame.
inline constexpr std::uint64_t kMaxUploadPiece = 61'440;

inline constexpr ArgumentSpec kLlmUploadArguments[] = {
    {.name = "size",
     .type = ArgumentType::Integer,
     .required = true,
     .min = 1,
     .max = llm::package::kMaxModelBytes,
     .help = "of the model file, bytes"},
    {.name = "id",
     .type = ArgumentType::Text,
     .min = 1,
     .max = llm::package::kMaxIdBytes,
     .help = "what it is loaded as; what its manifest says unless given"},
    {.name = "manifest",
     .type = ArgumentType::TextOrBytes,
     .max = llm::package::kMaxManifestBytes,
     .help = "the file NAME.sig; without it the model is unsigned"}};
inline constexpr ArgumentSpec kLlmUploadDataArguments[] = {
    {.name = "offset",
     .type = ArgumentType::Integer,
     .required = true,
     .max = llm::package::kMaxModelBytes,
     .help = "where in the file they lie: as many as have come before"},
    {.name = "bytes",
     .type = ArgumentType::TextOrBytes,
     .required = true,
     .min = 1,
     .max = kMaxUploadPiece,
     .help = "of the model file, 1 to 61440"}};

inline constexpr Command kLlmUploadCommand = {
    .name = "llm upload",
    .help = "bring a model: this answers when it is loaded",
    .details =
        "The manifest is checked first. Then its bytes come with 'llm upload-data', and 'llm upload-end' has them "
        "verified and loaded. Cancel, the end of the connection, or 30 s without a piece end it, and nothing of it "
        "stays.",
    .arguments = kLlmUploadArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_llm_upload,
    .where = Where::ControlOnly};
inline constexpr Command kLlmUploadDataCommand = {
    .name = "llm upload-data",
    .help = "the next bytes of the model that this connection brings",
    .details = "Those that are not the next ones are refused, and change nothing.",
    .arguments = kLlmUploadDataArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_llm_upload_data,
    .where = Where::ControlOnly,
    .unrecorded = true};
inline constexpr Command kLlmUploadEndCommand = {.name = "llm upload-end",
                                                 .help = "all bytes of the model have come: verify and load it",
                                                 .details = "'llm upload' answers with what comes of it.",
                                                 .arguments = {},
                                                 .rights = abi::control::Rights::Admin,
                                                 .handler = handle_llm_upload_end,
                                                 .where = Where::ControlOnly};

}  // namespace guest::control
