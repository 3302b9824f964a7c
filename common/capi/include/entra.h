/*
 * libentra: users, groups and logins of Microsoft Entra Domain Services and Active Directory, as entrad knows them.
 *
 * Link with `pkg-config --libs entra`. Functions are added within a soname, never changed or removed. Every function
 * may be called from any thread.
 */
#ifndef ENTRA_H
#define ENTRA_H

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is loaded, such as "0.1.0". Never NULL; not to be freed. */
const char *entra_version(void);

#ifdef __cplusplus
}
#endif

#endif /* ENTRA_H */
