<?php
/**
 * Where the lists come from: the server or the export, asked seldom and never for long.
 *
 * @package Related_Stories
 */

defined( 'ABSPATH' ) || exit;

/**
 * Lists of related stories, cached by post. A stale copy is better than none, and none is better than a slow page.
 */
class Related_Stories_Source {

	/** Seconds that a page waits for the server, once. */
	const TIMEOUT = 2;

	/** Seconds in which no page asks again after the server did not answer. */
	const PAUSE = 30;

	/** Seconds that 'no such article' is remembered. */
	const UNKNOWN = 300;

	/** Seconds for which a copy is kept that nothing newer has replaced. */
	const KEPT = 2 * WEEK_IN_SECONDS;

	/** Largest answer that is read, in bytes. */
	const LARGEST = 262144;

	/**
	 * The related stories of a post, best first; empty where there are none or none can be had.
	 *
	 * @param int   $post_id  The post.
	 * @param array $settings As of related_stories_settings().
	 * @return array[] Of 'title', 'url' and 'published' (a Unix time or null).
	 */
	public static function items( $post_id, $settings ) {
		$url = self::url( $post_id, $settings );
		if ( '' === $url ) {
			return array();
		}
		$key   = 'related_stories_' . $post_id . '_' . substr( md5( $url ), 0, 12 );
		$known = get_transient( $key );
		if ( ! is_array( $known ) || ! isset( $known['items'], $known['until'] ) ) {
			$known = array(
				'items' => array(),
				'until' => 0,
			);
		}
		if ( $known['until'] <= time() && ! get_transient( self::pause_key( $url ) ) ) {
			// Others who ask meanwhile get the stale copy.
			$known['until'] = time() + self::TIMEOUT + 1;
			set_transient( $key, $known, self::KEPT );
			$known = self::fetched( $url, $post_id, $known );
			set_transient( $key, $known, self::KEPT );
		}
		return array_slice( self::shown( $known['items'], $post_id ), 0, $settings['number'] );
	}

	/**
	 * The latest posts of the site, without this one.
	 *
	 * @param int $post_id The post, or 0.
	 * @param int $number  At most so many.
	 * @return array[] As items().
	 */
	public static function latest( $post_id, $number ) {
		$posts = get_posts(
			array(
				'numberposts'  => $number,
				'exclude'      => array_filter( array( $post_id ) ),
				'has_password' => false,
			)
		);
		return array_map( array( __CLASS__, 'of_post' ), $posts );
	}

	/**
	 * The address to ask for a post, '' for none.
	 *
	 * @param int   $post_id  The post.
	 * @param array $settings As of related_stories_settings().
	 */
	public static function url( $post_id, $settings ) {
		$url = untrailingslashit( $settings['server'] ) . '/related/';
		if ( '' === $settings['server'] ) {
			$url = '';
		} elseif ( 'export' === $settings['source'] ) {
			$digest = hash( 'sha256', (string) $post_id );
			$url   .= substr( $digest, 0, 2 ) . "/$digest.json";
		} else {
			$url .= $post_id . '?k=' . $settings['number'];
		}
		/**
		 * The address of the list of a post: change it for other article ids or another rule of names.
		 *
		 * @param string $url     The address by the settings, '' if they name none.
		 * @param int    $post_id The post.
		 * @param int    $number  How many stories are wanted.
		 */
		$url = apply_filters( 'related_stories_url', $url, $post_id, $settings['number'] );
		return is_string( $url ) ? esc_url_raw( $url, array( 'http', 'https' ) ) : '';
	}

	/**
	 * Says for a while that a server does not answer; the key is the same for all posts.
	 *
	 * @param string $url An address on that server.
	 */
	private static function pause_key( $url ) {
		return 'related_stories_pause_' . substr( md5( (string) wp_parse_url( $url, PHP_URL_HOST ) . ':' . wp_parse_url( $url, PHP_URL_PORT ) ), 0, 12 );
	}

	/**
	 * What the server says now, or what is known where it says nothing.
	 *
	 * @param string $url     The address to ask.
	 * @param int    $post_id The post.
	 * @param array  $known   What is cached: 'items' and 'until'.
	 */
	private static function fetched( $url, $post_id, $known ) {
		$response = self::ask( $url );
		$status   = wp_remote_retrieve_response_code( $response );
		if ( 404 === $status || 410 === $status ) {
			return array(
				'items' => array(),
				'until' => time() + self::UNKNOWN,
			);
		}
		$items = 200 === $status ? self::read( wp_remote_retrieve_body( $response ) ) : null;
		if ( null === $items ) {
			set_transient( self::pause_key( $url ), 1, self::PAUSE );
			$known['until'] = time() + self::PAUSE;
			return $known;
		}
		return array(
			'items' => $items,
			'until' => time() + self::fresh_for( time() - (int) get_post_time( 'U', true, $post_id ) ),
		);
	}

	/**
	 * The answer to one question, cached nowhere, or an error.
	 *
	 * @param string $url The address to ask.
	 * @return array|WP_Error
	 */
	private static function ask( $url ) {
		return wp_remote_get(
			$url,
			array(
				'timeout'             => self::TIMEOUT,
				'redirection'         => 1,
				'limit_response_size' => self::LARGEST,
				'user-agent'          => 'related-stories/' . RELATED_STORIES_VERSION,
				'headers'             => array( 'Accept' => 'application/json' ),
			)
		);
	}

	/**
	 * In a sentence, how the source answers for a post at this moment: for the settings page.
	 *
	 * @param int   $post_id  The post.
	 * @param array $settings As of related_stories_settings().
	 */
	public static function told( $post_id, $settings ) {
		$url      = self::url( $post_id, $settings );
		$response = self::ask( $url );
		if ( is_wp_error( $response ) ) {
			/* translators: 1: address, 2: what went wrong. */
			return sprintf( __( 'No answer from %1$s: %2$s', 'related-stories' ), $url, $response->get_error_message() );
		}
		$status = wp_remote_retrieve_response_code( $response );
		if ( 404 === $status || 410 === $status ) {
			/* translators: 1: address, 2: title of a post. */
			return sprintf( __( '%1$s answers that there is no list for the post "%2$s". If the address is right, the index does not hold this post yet: run `recommender sync`, and `recommender export` if you use one.', 'related-stories' ), $url, get_the_title( $post_id ) );
		}
		$items = 200 === $status ? self::read( wp_remote_retrieve_body( $response ) ) : null;
		if ( null === $items ) {
			/* translators: 1: address, 2: status of HTTP. */
			return sprintf( __( '%1$s gives no list of stories (status %2$s). Is it the address of a recommender?', 'related-stories' ), $url, $status );
		}
		/* translators: 1: number of stories, 2: title of a post. */
		return sprintf( __( 'It answers: %1$d stories beside the post "%2$s".', 'related-stories' ), count( self::shown( $items, $post_id ) ), get_the_title( $post_id ) );
	}

	/**
	 * Seconds for which a list is good: young articles still get new neighbours, old ones hardly ever.
	 *
	 * @param int $age Seconds since the article was published.
	 */
	private static function fresh_for( $age ) {
		if ( $age < DAY_IN_SECONDS ) {
			return 5 * MINUTE_IN_SECONDS;
		}
		if ( $age < WEEK_IN_SECONDS ) {
			return 30 * MINUTE_IN_SECONDS;
		}
		return $age < MONTH_IN_SECONDS ? 2 * HOUR_IN_SECONDS : 12 * HOUR_IN_SECONDS;
	}

	/**
	 * The items of an answer; null where it is no answer of a recommender.
	 *
	 * @param string $body JSON.
	 */
	private static function read( $body ) {
		$answer = json_decode( $body, true );
		if ( ! is_array( $answer ) || ! isset( $answer['items'] ) || ! is_array( $answer['items'] ) ) {
			return null;
		}
		$items = array();
		foreach ( array_slice( $answer['items'], 0, 50 ) as $item ) {
			if ( is_array( $item ) && isset( $item['id'], $item['title'] ) && is_scalar( $item['id'] ) && is_string( $item['title'] ) ) {
				$published = isset( $item['published'] ) && is_string( $item['published'] ) ? strtotime( $item['published'] ) : false;
				$items[]   = array(
					'id'        => (string) $item['id'],
					'title'     => $item['title'],
					'url'       => isset( $item['url'] ) && is_string( $item['url'] ) ? $item['url'] : '',
					'published' => false === $published ? null : $published,
				);
			}
		}
		return $items;
	}

	/**
	 * What of a list a reader may see now. Posts of this site are shown as they are today: with today's title and address, and
	 * not at all once they are withdrawn.
	 *
	 * @param array[] $items   As of read().
	 * @param int     $post_id The post that they are beside.
	 */
	private static function shown( $items, $post_id ) {
		$here  = wp_parse_url( home_url(), PHP_URL_HOST );
		$local = array();
		foreach ( $items as $item ) {
			$local[] = ctype_digit( $item['id'] ) && in_array( wp_parse_url( $item['url'], PHP_URL_HOST ), array( null, false, $here ), true );
		}
		$ids = array_map( 'intval', array_column( array_intersect_key( $items, array_filter( $local ) ), 'id' ) );
		_prime_post_caches( $ids, false, false );
		$shown = array();
		foreach ( $items as $place => $item ) {
			if ( $local[ $place ] ) {
				$post = get_post( (int) $item['id'] );
				if ( $post && $post->ID !== $post_id && 'publish' === $post->post_status && '' === $post->post_password ) {
					$shown[] = self::of_post( $post );
				}
			} elseif ( '' !== trim( $item['title'] ) && self::is_address( $item['url'] ) ) {
				$shown[] = $item;
			}
		}
		return $shown;
	}

	/**
	 * Whether this is an address of a page on the web, with its host.
	 *
	 * @param string $url Perhaps one.
	 */
	private static function is_address( $url ) {
		return 1 === preg_match( '~^https?://[^/?#\s]~i', esc_url_raw( $url, array( 'http', 'https' ) ) );
	}

	/**
	 * A post of this site as an item.
	 *
	 * @param WP_Post $post The post.
	 */
	private static function of_post( $post ) {
		return array(
			'title'     => html_entity_decode( wp_strip_all_tags( get_the_title( $post ) ), ENT_QUOTES | ENT_HTML5, 'UTF-8' ),
			'url'       => get_permalink( $post ),
			'published' => (int) get_post_time( 'U', true, $post ),
		);
	}
}
