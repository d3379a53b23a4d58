/*
 * pdf - the text of a PDF document, by poppler's pdftotext where that is installed
 *
 * The program is run directly, reads from memory and writes into a pipe; what it
 * may take of time, memory and output is bounded, and nothing of it is left.
 */
#ifndef TEXT_PDF_H
#define TEXT_PDF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Append the text, UTF-8 as far as poppler knows, to out: at most limit bytes,
 * within so many seconds.  Return 1, 0 when there is no pdftotext, -1.
 */
int pdf_text(str bytes, int64_t limit, double seconds, struct buf *out, struct err *err);

#endif
