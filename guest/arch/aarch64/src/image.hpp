// Symbols of kernel.ld. Their addresses are what matters.
#pragma once

extern "C" {
extern const char _image_start[];
extern const char _text_end[];
extern const char _rodata_end[];
extern const char _user_access_fixups[];
extern const char _user_access_fixups_end[];
extern const char _data_end[];
extern char _bss_start[];
extern char _bss_end[];
extern const char _early_tables[];
extern const char _early_tables_end[];
extern const char _boot_stack[];
extern const char _image_end[];
extern const char _build_id[];
extern const char _build_id_end[];
}
