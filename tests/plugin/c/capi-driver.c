/*
 * Asks libentra as programs do that have threads, fork, and bring buffers of every size. Each word of the command line
 * is a scene; what it finds goes to standard output, one line each.
 */
#define _POSIX_C_SOURCE 200809L
#include <entra.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

_Static_assert(sizeof(struct entra_sid) == 68, "no padding");
_Static_assert(sizeof(struct entra_id) == 8, "two words");
_Static_assert(sizeof(struct entra_mapping) == 12, "three words");
_Static_assert(sizeof(struct entra_health) == 16, "four words");
_Static_assert(sizeof(struct entra_user) == 4 * sizeof(void *) + 8, "four texts, two ids");
_Static_assert(sizeof(struct entra_group) == 3 * sizeof(void *) + 8, "as the library fills it");

enum { SIDS = 64, THREADS = 32, ROUNDS = 20, FORKS = 20 };

static struct entra_sid sids[SIDS];
static struct entra_mapping wanted[SIDS];
static atomic_int right, stop;

static int is_right(void)
{
	struct entra_mapping found[SIDS];
	struct entra_sid sid;
	struct entra_user user;
	struct entra_id id;
	char buffer[512];
	uint32_t gids[64];
	size_t count = 0;

	if (entra_sids_to_ids(sids, SIDS, found) != ENTRA_OK || memcmp(found, wanted, sizeof found) != 0)
		return 0;
	if (entra_name_to_sid("alice", 0, &sid, &id) != ENTRA_OK || id.id != 674001103 || id.kind != ENTRA_USER)
		return 0;
	if (entra_uid_to_sid(674001103, &sid) != ENTRA_OK || entra_sid_length(&sid) != 28)
		return 0;
	if (entra_user_by_uid(674001103, &user, buffer, sizeof buffer, NULL) != ENTRA_OK || strcmp(user.name, "alice") != 0)
		return 0;
	return entra_groups_of_user("alice", gids, 64, &count) == ENTRA_OK && count > 0 && gids[0] == user.gid;
}

/* 64 SIDs of the test's domain, S-1-5-21-1-2-3-674010000 and on, and what the library says of them to one thread. */
static void prepare(void)
{
	for (unsigned at = 0; at < SIDS; at++) {
		char text[ENTRA_SID_TEXT];

		snprintf(text, sizeof text, "S-1-5-21-1-2-3-%u", 674010000 + at);
		if (entra_sid_parse(text, &sids[at]) != ENTRA_OK)
			exit(1);
	}
	printf("prepared %d\n", entra_sids_to_ids(sids, SIDS, wanted));
	for (unsigned at = 0; at < SIDS; at++)
		if (wanted[at].status != ENTRA_OK || wanted[at].id != 674010000 + at)
			printf("%u is %u\n", at, wanted[at].id);
}

static void *rounds(void *nothing)
{
	(void)nothing;
	for (int round = 0; round < ROUNDS; round++)
		right += is_right();
	return NULL;
}

static void threads(void)
{
	pthread_t all[THREADS];

	for (int at = 0; at < THREADS; at++)
		if (pthread_create(&all[at], NULL, rounds, NULL) != 0)
			exit(1);
	for (int at = 0; at < THREADS; at++)
		pthread_join(all[at], NULL);
	printf("%d of %d\n", right, THREADS * ROUNDS);
}

static void *until_stopped(void *nothing)
{
	(void)nothing;
	while (!stop)
		is_right();
	return NULL;
}

/* Children of a process whose other threads are inside of the library. */
static void forks(int busy)
{
	pthread_t all[4];
	int good = 0;

	for (int at = 0; at < busy; at++)
		if (pthread_create(&all[at], NULL, until_stopped, NULL) != 0)
			exit(1);
	for (int at = 0; at < FORKS; at++) {
		int status = 0;
		pid_t child;

		fflush(stdout);
		child = fork();
		if (child == 0)
			_exit(is_right() ? 0 : 1);
		if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			good++;
	}
	stop = 1;
	for (int at = 0; at < busy; at++)
		pthread_join(all[at], NULL);
	printf("%d of %d\n", good, FORKS);
}

/* Every size that is too short is refused with the right one, and the right one is enough. */
static void sizes(void)
{
	struct entra_user user;
	struct entra_group group;
	size_t needed = 0, wanted_size = 0;

	if (entra_user_by_name("alice", &user, NULL, 0, &wanted_size) != ENTRA_RANGE)
		printf("no size of a user\n");
	for (size_t size = 0; size <= wanted_size; size++) {
		void *buffer = malloc(size);
		int status = entra_user_by_name("alice", &user, buffer, size, &needed);

		if (status != (size == wanted_size ? ENTRA_OK : ENTRA_RANGE) || needed != wanted_size)
			printf("a user in %zu bytes: %d\n", size, status);
		if (status == ENTRA_OK)
			printf("%s %s %s %s\n", user.name, user.gecos, user.home, user.shell);
		free(buffer);
	}
	if (entra_group_by_name("research", &group, NULL, 0, &wanted_size) != ENTRA_RANGE)
		printf("no size of a group\n");
	for (size_t size = 0; size <= wanted_size; size++) {
		void *buffer = malloc(size);
		int status = entra_group_by_name("research", &group, buffer, size, &needed);

		if (status != (size == wanted_size ? ENTRA_OK : ENTRA_RANGE) || needed != wanted_size)
			printf("a group in %zu bytes: %d\n", size, status);
		if (status == ENTRA_OK)
			printf("%s %zu %s\n", group.name, group.member_count, group.members[group.member_count - 1]);
		free(buffer);
	}
}

static void health(void)
{
	struct entra_health health;
	int status = entra_health(&health);

	printf("health %d daemon %u cache %u domains %u online %u\n", status, health.daemon, health.cache, health.domains, health.online);
}

/* Ids and names that the directory may claim and must not get. */
static void strangers(void)
{
	static const uint32_t ids[] = { 0, 1, 999, 65534, 674001104, 3000000000 };
	static const char *const names[] = { "root", "daemon", "nobody", "eve", "" };
	struct entra_sid sid;
	struct entra_user user;
	char buffer[512];

	for (size_t at = 0; at < sizeof ids / sizeof *ids; at++)
		printf("%u: %d %d %d\n", ids[at], entra_uid_to_sid(ids[at], &sid), entra_gid_to_sid(ids[at], &sid),
		       entra_user_by_uid(ids[at], &user, buffer, sizeof buffer, NULL));
	for (size_t at = 0; at < sizeof names / sizeof *names; at++)
		printf("%s: %d %d\n", names[at], entra_name_to_sid(names[at], ENTRA_USER, &sid, NULL),
		       entra_user_by_name(names[at], &user, buffer, sizeof buffer, NULL));
}

int main(int argc, char **argv)
{
	for (int at = 1; at < argc; at++) {
		if (strcmp(argv[at], "prepare") == 0)
			prepare();
		else if (strcmp(argv[at], "threads") == 0)
			threads();
		else if (strcmp(argv[at], "fork") == 0)
			forks(0);
		else if (strcmp(argv[at], "fork-busy") == 0)
			forks(4);
		else if (strcmp(argv[at], "sizes") == 0)
			sizes();
		else if (strcmp(argv[at], "health") == 0)
			health();
		else if (strcmp(argv[at], "strangers") == 0)
			strangers();
		else
			return 2;
	}
	return 0;
}
