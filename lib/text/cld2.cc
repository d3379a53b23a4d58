#include "text/cld2_impl.h"

#include <cstdio>	/* CLD2 forgets it */
#include <new>

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

int
cld2_detect(const char *text, int n, bool guess, int hint, cld2_found *found)
{
	const CLD2::CLDHints hints = { nullptr, nullptr, CLD2::UNKNOWN_ENCODING,
		static_cast<CLD2::Language>(hint) };
	CLD2::Language top[CLD2_TOP];

	try {
		CLD2::ExtDetectLanguageSummary(text, n, true, &hints,
		    guess ? CLD2::kCLDFlagBestEffort : 0, top, found->percent, found->density,
		    nullptr, &found->letters, &found->reliable);
	} catch (const std::bad_alloc &) {
		return -1;
	}
	for (int i = 0; i < CLD2_TOP; i++)
		found->number[i] = top[i];
	return 0;
}

const char *
cld2_code(int number)
{
	return CLD2::LanguageCode(static_cast<CLD2::Language>(number));
}

const char *
cld2_name(int number)
{
	return CLD2::LanguageName(static_cast<CLD2::Language>(number));
}

int
cld2_group(int number)
{
	return CLD2::LanguageCloseSet(static_cast<CLD2::Language>(number));
}

const char *
cld2_version(void)
{
	return CLD2::DetectLanguageVersion();
}
