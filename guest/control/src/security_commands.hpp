// Commands of tokens, keys and the audit log, for the table (command_table.cpp).
#pragma once

#include "guest/security/audit_log.hpp"
#include "handlers.hpp"
#include "watch_arguments.hpp"

namespace guest::control {

/// Most records in one answer: it fits a frame, at some 600 bytes each, and what the shell makes of it fits 48 KiB.
inline constexpr std::uint64_t kMaxAuditRecords = 96;
inline constexpr std::uint64_t kMaxTtlSeconds = 1'000'000'000;
/// Longest hexadecimal text of ctlhex. Its answer is hexadecimal too, and must fit a frame.
inline constexpr std::uint64_t kMaxHexText = 32768;

inline constexpr ArgumentSpec kAuditArguments[] = {{.name = "count",
                                                    .type = ArgumentType::Integer,
                                                    .min = 1,
                                                    .max = kMaxAuditRecords,
                                                    .help = "newest records to show, from 1 to 96, 32 unless given"},
                                                   {.name = "skip",
                                                    .type = ArgumentType::Integer,
                                                    .max = security::AuditLog::kCapacity,
                                                    .help = "newest records to pass over, to read the log in pieces"}};
inline constexpr ArgumentSpec kTokenNewArguments[] = {
    {.name = "rights",
     .type = ArgumentType::Text,
     .required = true,
     .min = 1,
     .max = 32,
     .help = "observe, submit, admin, with commas between; only those that you have"},
    {.name = "ttl_s",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxTtlSeconds,
     .help = "seconds until it expires; as long as yours unless given"},
    {.name = "name", .type = ArgumentType::Text, .min = 1, .max = security::kMaxTokenName, .help = "for 'token list'"}};
inline constexpr ArgumentSpec kTokenRevokeArguments[] = {
    {.name = "id", .type = ArgumentType::Integer, .required = true, .max = 0xffff'ffff, .help = "of the token"}};
inline constexpr ArgumentSpec kCtlkeyArguments[] = {
    {.name = "action", .type = ArgumentType::Choice, .choices = "rotate", .help = "shows a fingerprint unless given"},
    {.name = "key",
     .type = ArgumentType::Text,
     .min = 64,
     .max = 64,
     .help = "rotate: the new key as 64 hexadecimal digits; a random one unless given"}};
inline constexpr ArgumentSpec kLegacyTokenArguments[] = {
    {.name = "token",
     .type = ArgumentType::Text,
     .min = 1,
     .max = 18,
     .help = "rotate: a random one; off: none; or 1 to 16 hexadecimal digits. Shows a fingerprint unless given"}};
inline constexpr ArgumentSpec kCtlembedArguments[] = {{.name = "right",
                                                       .type = ArgumentType::Choice,
                                                       .required = true,
                                                       .choices = "admin|submit",
                                                       .help = "its only one"}};
inline constexpr ArgumentSpec kCtlhexArguments[] = {
    {.name = "hex",
     .type = ArgumentType::Text,
     .required = true,
     .min = 2,
     .max = kMaxHexText,
     .help = "the bytes of one frame or more, two hexadecimal digits each"}};

inline constexpr Command kAuditCommand = {
    .name = "audit",
    .help = "who was let in, who was not, what was done with SUBMIT or ADMIN",
    .details =
        "The newest 1024 records are kept, in a chain of hashes. Nothing of what requests say is in them, only "
        "lengths.\nThe oldest shown comes first; 'before' is the hash that it builds on.",
    .arguments = kAuditArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_audit,
    .render = render_audit};
inline constexpr Command kLlmctlAuditCommand = {
    .name = "llmctl audit",
    .help = "what the LLM service did and refused, and for whom",
    .details =
        "The records of the audit log that are its own, of the newest 1024. Of prompts there is the length and a hash.",
    .arguments = {kAuditArguments, 1},
    .rights = abi::control::Rights::Admin,
    .handler = handle_llmctl_audit,
    .render = render_audit};
inline constexpr Command kWatchAuditCommand = {.name = "watch audit",
                                               .help = "records of the audit log, as they are made",
                                               .details =
                                                   "An event holds up to 16 records, and 'before': the hash that "
                                                   "the first of them builds on. count is of records.",
                                               .arguments = kWatchAuditArguments,
                                               .rights = abi::control::Rights::Admin,
                                               .handler = handle_watch_audit,
                                               .render_event = render_audit_records};
inline constexpr Command kTokenListCommand = {
    .name = "token list",
    .help = "the tokens that were made here or seen, and which are revoked",
    .details = "Of 128 at most. Those that were only seen make room for others.",
    .arguments = {},
    .rights = abi::control::Rights::Admin,
    .handler = handle_token_list};
inline constexpr Command kTokenNewCommand = {
    .name = "token new",
    .help = "make a token",
    .details =
        "It has no right that you lack, lasts no longer than yours, and is revoked with yours. It is shown once.",
    .arguments = kTokenNewArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_token_new};
inline constexpr Command kTokenRevokeCommand = {
    .name = "token revoke",
    .help = "revoke every token with an id, and those made with them",
    .details = "At once, on open connections too. known: whether such a token was made here or seen.",
    .arguments = kTokenRevokeArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_token_revoke};
inline constexpr Command kCtlkeyCommand = {
    .name = "ctlkey",
    .help = "the machine's key: its fingerprint, or a new one",
    .details =
        "rotate: every token under the old key is revoked at once, yours too after the answer, which has the new key.",
    .arguments = kCtlkeyArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_ctlkey,
    .secret = true};
inline constexpr Command kCtladminCommand = {
    .name = "ctladmin",
    .help = "the ADMIN token of protocol version 0: whether there is one, or a new one",
    .details = "A new one revokes the old at once. Who has it has all rights.",
    .arguments = kLegacyTokenArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_ctladmin,
    .secret = true};
inline constexpr Command kCtlsubmitCommand = {
    .name = "ctlsubmit",
    .help = "the SUBMIT token of protocol version 0: whether there is one, or a new one",
    .details = "A new one revokes the old at once. Who has it has OBSERVE and SUBMIT.",
    .arguments = kLegacyTokenArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_ctlsubmit,
    .secret = true};
inline constexpr Command kCtlembedCommand = {
    .name = "ctlembed",
    .help = "make a token with one right, to be put into a program",
    .details = "A token as those of 'token new': it cannot be widened, and can be revoked.",
    .arguments = kCtlembedArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_ctlembed};
inline constexpr Command kCtlhexCommand = {
    .name = "ctlhex",
    .help = "what the control server answers to bytes of a connection",
    .details =
        "They come over a connection of their own, which has no rights but those of tokens in them. Several frames "
        "may follow each other, Hello first.",
    .arguments = kCtlhexArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_ctlhex,
    .secret = true};

}  // namespace guest::control
