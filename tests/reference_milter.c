/*
 * A milter on libmilter that does what it is told: for tests, beside ours and behind the same mail server.
 *
 *     reference_milter ADDRESS PLANS
 *
 * A message whose header has "X-Plan: NAME" gets what the file NAME in the folder PLANS says; all others are let through.
 * A plan has one request a line, words between tabs; in a word, \n is a line feed, \t a tab, \\ a backslash:
 *
 *     insert  INDEX  NAME  VALUE      a header field
 *     add     NAME   VALUE            the same, at the end of the header
 *     change  N      NAME  VALUE      the Nth field of that name, from 1
 *     delete  N      NAME
 *     body    PATH                    the file is the new body
 *     quarantine  REASON
 *     progress                        "still at work"
 *     reply   CODE   STATUS  TEXT     refuse with it, for now (4xx) or for good (5xx)
 *     accept, reject, tempfail, discard, continue
 *
 * They are done in this order at the end of the message; without one of the last two lines, the message is let through.
 * Fails with a line on standard error, and a temporary failure for the message, where a plan is no plan.
 * What a marker at an earlier step would do is told in its value: "X-Plan: at-header/reject" and at-eoh, at-body.
 */
#include <libmilter/mfapi.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct message {
	char plan[128]; /* "" = none */
};

static const char *plans;

static struct message *of(SMFICTX *ctx)
{
	struct message *message = smfi_getpriv(ctx);
	if (message == NULL && (message = calloc(1, sizeof *message)) != NULL)
		smfi_setpriv(ctx, message);
	return message;
}

static sfsistat verdict(const char *word)
{
	if (strcmp(word, "accept") == 0)
		return SMFIS_ACCEPT;
	if (strcmp(word, "reject") == 0)
		return SMFIS_REJECT;
	if (strcmp(word, "discard") == 0)
		return SMFIS_DISCARD;
	if (strcmp(word, "continue") == 0)
		return SMFIS_CONTINUE;
	return SMFIS_TEMPFAIL;
}

/* If the plan is for this step and says so. */
static sfsistat early(SMFICTX *ctx, const char *step)
{
	const struct message *message = of(ctx);
	size_t length = strlen(step);
	if (message == NULL)
		return SMFIS_TEMPFAIL;
	if (strncmp(message->plan, step, length) == 0 && message->plan[length] == '/')
		return verdict(message->plan + length + 1);
	return SMFIS_CONTINUE;
}

static void forget(SMFICTX *ctx)
{
	struct message *message = of(ctx);
	if (message != NULL)
		message->plan[0] = '\0';
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
	(void)arguments;
	forget(ctx);
	return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct message *message = of(ctx);
	if (message == NULL)
		return SMFIS_TEMPFAIL;
	if (strcasecmp(name, "X-Plan") == 0)
		sscanf(value, " %127[^ \t\n]", message->plan); /* a line of blanks below it is part of it */
	return early(ctx, "at-header");
}

static sfsistat on_eoh(SMFICTX *ctx)
{
	return early(ctx, "at-eoh");
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t size)
{
	(void)data;
	(void)size;
	return early(ctx, "at-body");
}

static sfsistat on_close(SMFICTX *ctx)
{
	free(smfi_getpriv(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

static sfsistat on_abort(SMFICTX *ctx)
{
	forget(ctx);
	return SMFIS_CONTINUE;
}

/* In place. */
static char *unescaped(char *word)
{
	char *to = word;
	for (char *from = word; *from != '\0'; from++) {
		if (*from == '\\' && from[1] != '\0') {
			from++;
			*to++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return word;
}

static int replace_body(SMFICTX *ctx, const char *path)
{
	unsigned char chunk[65535];
	size_t size;
	int result = MI_SUCCESS;
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return MI_FAILURE;
	do {
		size = fread(chunk, 1, sizeof chunk, file);
		result = smfi_replacebody(ctx, chunk, (int)size);
	} while (size == sizeof chunk && result == MI_SUCCESS);
	fclose(file);
	return result;
}

/* One request.  MI_FAILURE if it is none, or is refused; *end is the verdict, if it is one. */
static int request(SMFICTX *ctx, char **word, int count, sfsistat *end)
{
	const char *verb = word[0];
	if (strcmp(verb, "insert") == 0 && count == 4)
		return smfi_insheader(ctx, atoi(word[1]), word[2], word[3]);
	if (strcmp(verb, "add") == 0 && count == 3)
		return smfi_addheader(ctx, word[1], word[2]);
	if (strcmp(verb, "change") == 0 && count == 4)
		return smfi_chgheader(ctx, word[2], atoi(word[1]), word[3]);
	if (strcmp(verb, "delete") == 0 && count == 3)
		return smfi_chgheader(ctx, word[2], atoi(word[1]), NULL);
	if (strcmp(verb, "body") == 0 && count == 2)
		return replace_body(ctx, word[1]);
	if (strcmp(verb, "quarantine") == 0 && count == 2)
		return smfi_quarantine(ctx, word[1]);
	if (strcmp(verb, "progress") == 0 && count == 1)
		return smfi_progress(ctx);
	if (strcmp(verb, "reply") == 0 && count == 4) {
		*end = word[1][0] == '5' ? SMFIS_REJECT : SMFIS_TEMPFAIL;
		return smfi_setreply(ctx, word[1], word[2], word[3]);
	}
	*end = verdict(verb);
	return count == 1 && (*end != SMFIS_TEMPFAIL || strcmp(verb, "tempfail") == 0) ? MI_SUCCESS : MI_FAILURE;
}

static sfsistat on_end(SMFICTX *ctx)
{
	struct message *message = of(ctx);
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	ssize_t length;
	sfsistat end = SMFIS_CONTINUE;
	FILE *file;

	if (message == NULL)
		return SMFIS_TEMPFAIL;
	if (message->plan[0] == '\0' || strchr(message->plan, '/') != NULL)
		return SMFIS_CONTINUE;
	snprintf(path, sizeof path, "%s/%s", plans, message->plan);
	forget(ctx);
	file = fopen(path, "r");
	if (file == NULL) {
		perror(path);
		return SMFIS_TEMPFAIL;
	}
	while ((length = getline(&line, &size, file)) > 0) {
		char *words[5], *rest = line;
		int count = 0;
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		while (count < 5 && (words[count] = strsep(&rest, "\t")) != NULL)
			unescaped(words[count++]);
		if (request(ctx, words, count, &end) != MI_SUCCESS) {
			fprintf(stderr, "%s: refused: %s\n", path, words[0]);
			end = SMFIS_TEMPFAIL;
			break;
		}
	}
	free(line);
	fclose(file);
	return end;
}

int main(int argc, char **argv)
{
	struct smfiDesc filter = {
		.xxfi_name = "reference",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_QUARANTINE,
		.xxfi_envfrom = on_mail,
		.xxfi_header = on_header,
		.xxfi_eoh = on_eoh,
		.xxfi_body = on_body,
		.xxfi_eom = on_end,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
	};
	if (argc != 3) {
		fprintf(stderr, "usage: %s ADDRESS PLANS\n", argv[0]);
		return 2;
	}
	plans = argv[2];
	umask(0); /* a mail server runs as another user */
	if (smfi_register(filter) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS || smfi_opensocket(1) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
